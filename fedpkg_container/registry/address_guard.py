# SPDX-License-Identifier: GPL-2.0-or-later
"""Filter for the addresses that a builder connects to on behalf of packagers: never its own, never denied networks."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Union

from fedpkg_container.errors import RegistryError
from fedpkg_container.model.limits import BLOCKED_NETWORKS
from fedpkg_container.registry.credentials import normalize_host

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
#: Prefix in which NAT64 gateways of IPv6-only networks embed an IPv4 address, in the last 32 bits (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class ClosedAddressError(RegistryError):
    """A host resolves to addresses that builders must not connect to."""


@dataclass(frozen=True)
class AddressGuard:
    """The addresses that a builder may connect to.

    :param denied: IPv4 networks that the site denies besides ``BLOCKED_NETWORKS``, e.g. ``10.0.0.0/8``
    :param hosts: hosts that may have any address, with the port unless it is 443
    """

    denied: Sequence[str] = ()
    hosts: Sequence[str] = ()

    @cached_property
    def _denied(self) -> tuple[ipaddress.IPv4Network, ...]:
        return tuple(ipaddress.IPv4Network(network) for network in (*BLOCKED_NETWORKS, *self.denied))

    def trusts(self, host: str) -> bool:
        """Return whether a host may have any address.

        :param host: with the port unless it is 443
        """
        return normalize_host(host) in {normalize_host(trusted) for trusted in self.hosts}

    def allows(self, address: str) -> bool:
        """Return whether the builder may connect to an IP address of a host that the site does not trust."""
        ip = _embedded(ipaddress.ip_address(address.partition("%")[0]))
        if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
            return False
        if isinstance(ip, ipaddress.IPv4Address):
            if any(ip in network for network in self._denied):
                return False
        elif not ip.is_global or ip.is_site_local or ip.sixtofour or ip.teredo:
            return False
        return not _is_local(str(ip))

    def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a host to the IP addresses that the builder may connect to, in the resolver's order.

        Connect to one of these addresses, never by name: a second query could return a different address.

        :raises ClosedAddressError: if none is allowed
        :raises OSError: if the name cannot be resolved
        """
        shown = f"[{host}]" if ":" in host else host
        if self.trusts(shown if port == 443 else f"{shown}:{port}"):
            return resolve(host, port)
        allowed = [address for address in resolve(host, port) if self.allows(address)]
        if not allowed:
            # The message leaves out the address: packagers must not resolve names of the builder's network.
            raise ClosedAddressError(
                f"{shown}:{port} resolves to an address that builders of this site may not connect to",
                solution="use another host, or contact the site administrators to allow it"
                " (docs/howto/site.md, allowed_hosts)",
            )
        return allowed


def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, in the resolver's order.

    :raises OSError: if the name cannot be resolved
    """
    try:
        results = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # an empty or too long label
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from error
    return list(dict.fromkeys(str(result[4][0]) for result in results))


def _embedded(ip: _Address) -> _Address:
    """Return the IPv4 address embedded in an IPv4-mapped or NAT64 address; any other address unchanged."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _is_local(address: str) -> bool:
    """Return whether an address belongs to this machine, by trying to bind to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as attempt:
            attempt.bind((address, 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True
