"""The values of a front end's settings, taken apart and checked: what gets past here can be written into a
configuration between double quotes, and stays there.

Each ``parse`` raises ``ValueError`` with what the value must be.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: Neither quotes, backslashes, variables ($, %) nor control characters; nothing that a configuration gives a meaning.
_PATH = re.compile(r"/[\w./@+,=:~ -]*")
_URL_PATH = re.compile(r"(?:/[A-Za-z0-9._~+=:@-]+)*")
_PSEUDONYM = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?")
_PORTS = {"http": 80, "https": 443}


def host_name(text: str) -> str:
    """The name of a host, in lower case."""
    name = text.lower()
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError("must be the name of a host, as registry.example.org")
    return name


def file_path(path: Path) -> str:
    """An absolute path."""
    text = str(path)
    if not _PATH.fullmatch(text):
        raise ValueError("must be an absolute path of letters, digits, spaces and any of . _ / @ + , = : ~ -")
    if ".." in path.parts:
        raise ValueError("must be a path without ..")
    return text


def pseudonym(text: str) -> str:
    """What a proxy calls itself in the header Via, or a part of it."""
    if not _PSEUDONYM.fullmatch(text):
        raise ValueError("must be a part of the header Via of letters, digits and any of . : _ -")
    return text


def network(text: str) -> str:
    """A network, or an address."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("must be a network, as 10.0.0.0/8 or 2001:db8::/32, with no bits of a host") from None


@dataclass(frozen=True)
class Listen:
    """Where a server takes connections.

    :param address: empty for all; an IPv6 address is in brackets
    """

    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """A port, or an address and a port: ``443``, ``192.0.2.1:443``, ``[2001:db8::1]:443``."""
        address, _, port = text.rpartition(":")
        try:
            number = _port(port)
            if address.startswith("[") and address.endswith("]"):
                address = f"[{ipaddress.IPv6Address(address[1:-1])}]"
            elif address:
                address = str(ipaddress.IPv4Address(address))
        except ValueError:
            raise ValueError("must be a port, or an address and a port, as 443 or 192.0.2.1:443") from None
        return cls(address, number)


@dataclass(frozen=True)
class Address:
    """An address of http or https.

    :param path: empty, or without the slash at its end
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """An address without user, query and fragment: ``https://cdn.example.org/containers``."""
        try:
            parts = urllib.parse.urlsplit(text)
            known = parts.scheme in _PORTS and not (parts.query or parts.fragment or "@" in parts.netloc)
            if not known or text != parts.geturl() or not parts.hostname:
                raise ValueError
            named, _, port = _split(parts.netloc)
            path = parts.path.rstrip("/")
            if not _URL_PATH.fullmatch(path) or ".." in path.split("/"):
                raise ValueError
            return cls(parts.scheme, named, _port(port) if port else _PORTS[parts.scheme], path)
        except ValueError:
            raise ValueError("must be an address without user and query, as https://host:port/path") from None

    @property
    def authority(self) -> str:
        """Host and port; the port is left out where it is that of the scheme."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is on the same machine."""
        return self.host == "localhost" or (self.is_numeric and ipaddress.ip_address(self.host.strip("[]")).is_loopback)

    @property
    def is_numeric(self) -> bool:
        """Whether it has no name."""
        try:
            ipaddress.ip_address(self.host.strip("[]"))
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def _split(authority: str) -> tuple[str, str, str]:
    """Host, colon and port."""
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        if rest and not rest.startswith(":"):
            raise ValueError
        return f"[{ipaddress.IPv6Address(host)}]", rest[:1], rest[1:]
    host, colon, port = authority.partition(":")
    return host_name(host), colon, port


def _port(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,4}", text, re.ASCII) or int(text) > 65535:
        raise ValueError
    return int(text)
