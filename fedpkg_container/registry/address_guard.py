"""Which addresses a builder connects to for a packager or a registry: none of its own, and none that are closed."""

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
from fedpkg_container.registry.credentials import plain

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
#: Where translators of IPv6-only networks put the address of a host that has IPv4 only, in the last 32 bits (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class ClosedAddressError(RegistryError):
    """A host is at an address that builders do not connect to."""


@dataclass(frozen=True)
class AddressGuard:
    """The addresses that a builder connects to.

    :param denied: networks of IPv4 that the site closes, besides ``CLOSED``: ``10.0.0.0/8``
    :param hosts: hosts, with their port where it is not 443, that the site names: they may be at any address
    """

    denied: Sequence[str] = ()
    hosts: Sequence[str] = ()

    @cached_property
    def _closed(self) -> tuple[ipaddress.IPv4Network, ...]:
        return tuple(ipaddress.IPv4Network(each) for each in (*BLOCKED_NETWORKS, *self.denied))

    def trusts(self, host: str) -> bool:
        """Whether the site names a host, so that it may be at any address.

        :param host: with its port where that is not 443
        """
        return plain(host) in {plain(each) for each in self.hosts}

    def allows(self, address: str) -> bool:
        """Whether the builder connects to an IP address of a host that the site does not name."""
        ip = _embedded(ipaddress.ip_address(address.partition("%")[0]))
        if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
            return False
        if isinstance(ip, ipaddress.IPv4Address):
            if any(ip in each for each in self._closed):
                return False
        elif not ip.is_global or ip.is_site_local or ip.sixtofour or ip.teredo:
            return False
        return not _is_own(str(ip))

    def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a host; the IP addresses of it to which the builder connects, in the resolver's order.

        A connection is to be made to one of these, never by name: another query could have another answer.

        :raises ClosedAddressError: there are none
        :raises OSError: the name cannot be resolved
        """
        shown = f"[{host}]" if ":" in host else host
        if self.trusts(shown if port == 443 else f"{shown}:{port}"):
            return resolve(host, port)
        found = [each for each in resolve(host, port) if self.allows(each)]
        if not found:
            # Without the address: names of the builder's network are not resolved for packagers.
            raise ClosedAddressError(
                f"{shown}:{port} is at an address that builders of this site do not connect to",
                solution="use another host, or ask the site's administrators to name it (docs/site.md, allowed_hosts)",
            )
        return found


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, in the resolver's order.

    :raises OSError: the name cannot be resolved
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a part of the name is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _embedded(ip: _Address) -> _Address:
    """The IPv4 address to which an IPv6 address leads, for the two kinds that reach hosts with IPv4 only."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _is_own(address: str) -> bool:
    """Whether an address is one of this machine's: only then can something be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as attempt:
            attempt.bind((address, 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True
