"""What a site decides for the front end of its registry; every value is checked before it reaches a template."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.text import printable_line

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


_Value = TypeVar("_Value", str, Path)
_Parsed = TypeVar("_Parsed")

#: Where redirects are turned off. In /etc: there web servers may look on systems with SELinux too.
SWITCH = Path("/etc/fedpkg-container/redirects-off")


class FrontEndError(ConfigurationError):
    """Settings with which no front end can be made.

    :param problems: all of them: the setting, and what is wrong with it
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(map(" ".join, problems)), solution="see docs/redirects.md")
        self.problems = tuple(problems)


@dataclass(frozen=True)
class FrontEnd:
    """A web server before a registry. All values have been checked, and can be written between double quotes.

    :param names: as which clients know it; the first one names it
    :param certificate: its TLS certificate with the chain, PEM; for all of its names
    :param key: of the certificate; its path may be the same
    :param registry: the registry's address, ``https://registry-1.example.org:5000``; http on the same machine alone
    :param registry_ca: PEM file of the authority of the registry's certificate; for https only
    :param mirror: address below which the mirror has ``v2/NAME/blobs/DIGEST``: a CDN's, a mirror's, MirrorManager's
    :param no_cdn_names: further names, under which nothing is redirected
    :param tree: folder in which the mirror's files can be seen: what is not there yet is not redirected
    :param switch: no request is redirected while there is a file of this name
    :param via: what the CDN calls itself in the header Via of its own requests, or a part of it
    :param networks: whose requests are not redirected: builders, and the CDN's own
    :param listen: ports, or addresses with ports, for TLS
    :param plain_listen: the same for http, which sends everybody to https
    :raises FrontEndError: some values cannot be used; all of them are named
    """

    names: tuple[str, ...]
    certificate: Path
    key: Path
    registry: str
    mirror: str
    registry_ca: Path | None = None
    no_cdn_names: tuple[str, ...] = ()
    tree: Path | None = None
    switch: Path = SWITCH
    via: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    listen: tuple[str, ...] = ("443",)
    plain_listen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if problems := [*self._missing(), *self._wrong(), *self._contradictions()]:
            raise FrontEndError(problems)

    def _missing(self) -> Iterator[tuple[str, str]]:
        """Values that must be given; a path is not where it is empty."""
        given = {
            "names": self.names,
            "certificate": self.certificate != Path(),
            "registry": self.registry,
            "mirror": self.mirror,
            "listen": self.listen,
        }
        yield from ((setting, "is missing") for setting, value in given.items() if not value)
        if self.registry_ca is None and not self.registry.startswith("http://"):
            yield "registry_ca", "is missing: without it the registry's certificate cannot be verified"

    def _wrong(self) -> Iterator[tuple[str, str]]:
        """Values that are wrong by themselves."""
        yield from _problems("names", self.names, host_name)
        yield from _problems("no_cdn_names", self.no_cdn_names, host_name)
        paths = {"certificate": self.certificate, "switch": self.switch, "registry_ca": self.registry_ca}
        own_key = self.key if self.key != self.certificate else None
        for setting, path in {**paths, "key": own_key, "tree": self.tree}.items():
            yield from _problems(setting, [path] if path and path != Path() else [], file_path)
        yield from _problems("registry", [self.registry] if self.registry else [], Address.parse)
        yield from _problems("mirror", [self.mirror] if self.mirror else [], Address.parse)
        yield from _problems("via", self.via, pseudonym)
        yield from _problems("networks", self.networks, network)
        yield from _problems("listen", self.listen, Listen.parse)
        yield from _problems("plain_listen", self.plain_listen, Listen.parse)

    def _contradictions(self) -> Iterator[tuple[str, str]]:
        """Values that do not go together, of those that are right by themselves."""
        names, ports = set(_right(self.names, host_name)), {each.port for each in _right(self.listen, Listen.parse)}
        for name in sorted(names & set(_right(self.no_cdn_names, host_name))):
            yield "no_cdn_names", f"= {name}: is in names too"
        for registry in _right([self.registry], Address.parse):
            if registry.path:
                yield "registry", f"= {registry}: must be an address without a path"
            if registry.scheme == "http" and not registry.is_local:
                yield "registry", f"= {registry}: must be https, or on this machine: manifests come over TLS alone"
            if registry.scheme == "https" and registry.is_numeric:
                yield (
                    "registry",
                    f"= {registry}: must have a name: nginx and httpd look for no address in a certificate",
                )
        for mirror in _right([self.mirror], Address.parse):
            if mirror.port in ports and mirror.host in names:
                yield "mirror", f"= {mirror}: is this front end itself: redirects would go round in circles"

    @cached_property
    def server_names(self) -> tuple[str, ...]:
        """All names, in lower case."""
        return tuple(dict.fromkeys(map(host_name, (*self.names, *self.no_cdn_names))))

    @cached_property
    def registry_address(self) -> Address:
        """The registry's address, taken apart."""
        return Address.parse(self.registry)

    @cached_property
    def mirror_address(self) -> Address:
        """The mirror's address, taken apart."""
        return Address.parse(self.mirror)

    @cached_property
    def listen_addresses(self) -> tuple[Listen, ...]:
        """Where TLS is spoken."""
        return tuple(map(Listen.parse, self.listen))

    @cached_property
    def plain_addresses(self) -> tuple[Listen, ...]:
        """Where http is spoken."""
        return tuple(map(Listen.parse, self.plain_listen))


def _problems(setting: str, values: Iterable[_Value], parse: Callable[[_Value], object]) -> Iterator[tuple[str, str]]:
    """What is wrong with the values of one setting."""
    for value in values:
        try:
            parse(value)
        except ValueError as error:
            shown = re.sub("//.*@", "//…@", printable_line(str(value)))[:200]  # no password of an address
            yield setting, f"= {shown}: {error}"


def _right(values: Iterable[str], parse: Callable[[str], _Parsed]) -> Iterator[_Parsed]:
    """The values that are right by themselves, taken apart."""
    for value in values:
        with suppress(ValueError):
            yield parse(value)
