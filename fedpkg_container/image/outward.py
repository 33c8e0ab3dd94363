"""Which hosts a builder asks on a packager's word: none of its own, and none that the site closes."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outward:
    """Lets through what leads out of the builder.

    :param denied: networks of IPv4 that the site closes, as ``10.0.0.0/8``
    """

    denied: Sequence[str] = ()

    def allows(self, address: str) -> bool:
        """Whether the host at an address may be asked."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None)
        ip = mapped or ip
        if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and (not ip.is_global or ip.sixtofour or ip.teredo):
            return False
        if any(ip in ipaddress.ip_network(each) for each in self.denied):
            return False
        return not _is_own(str(ip))


def _is_own(address: str) -> bool:
    """Whether an address is one of this machine's: only then can something be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as attempt:
            attempt.bind((address, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True
