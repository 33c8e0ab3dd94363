# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the front end; all values are validated before they are used in a template."""

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
#: No quotes, backslashes, variables ($, %), control characters, or others with a meaning in a configuration.
_PATH = re.compile(r"/[\w./@+,=:~ -]*")
_URL_PATH = re.compile(r"(?:/[A-Za-z0-9._~+=:@-]+)*")
_PSEUDONYM = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?")
_PORTS = {"http": 80, "https": 443}
_Value = TypeVar("_Value", str, Path)
_Parsed = TypeVar("_Parsed")
#: File that turns redirects off. In /etc because SELinux allows web servers to read there.
SWITCH = Path("/etc/fedpkg-container/redirects-off")


def host_name(text: str) -> str:
    """Return a valid host name in lower case."""
    name = text.lower()
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError("must be a host name, e.g. registry.example.org")
    return name


def file_path(path: Path) -> str:
    """Return a valid absolute path."""
    text = str(path)
    if not _PATH.fullmatch(text):
        raise ValueError("must be an absolute path of letters, digits, spaces and any of . _ / @ + , = : ~ -")
    if ".." in path.parts:
        raise ValueError("must be a path without '..'")
    return text


def pseudonym(text: str) -> str:
    """Return a valid pseudonym of a proxy for the header Via, or a part of one."""
    if not _PSEUDONYM.fullmatch(text):
        raise ValueError("must be a part of the Via header: letters, digits and any of . : _ -")
    return text


def network(text: str) -> str:
    """Return a valid network or address."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("must be a network without host bits, e.g. 10.0.0.0/8 or 2001:db8::/32") from None


@dataclass(frozen=True)
class Listen:
    """Address to listen on.

    :param address: empty for all; IPv6 in brackets
    """

    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Parse a port, or an address and a port: ``443``, ``192.0.2.1:443``, ``[2001:db8::1]:443``."""
        address, _, port = text.rpartition(":")
        try:
            number = _port(port)
            if address.startswith("[") and address.endswith("]"):
                address = f"[{ipaddress.IPv6Address(address[1:-1])}]"
            elif address:
                address = str(ipaddress.IPv4Address(address))
        except ValueError:
            raise ValueError("must be a port, or an address and a port, e.g. 443 or 192.0.2.1:443") from None
        return cls(address, number)


@dataclass(frozen=True)
class Address:
    """HTTP or HTTPS URL.

    :param path: without trailing slash; may be empty
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse a URL without user, query and fragment: ``https://cdn.example.org/containers``."""
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
            raise ValueError("must be a URL without user and query, e.g. https://host:port/path") from None

    @property
    def authority(self) -> str:
        """Host and port; the scheme's default port is omitted."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return self.host == "localhost" or (self.is_numeric and ipaddress.ip_address(self.host.strip("[]")).is_loopback)

    @property
    def is_numeric(self) -> bool:
        """Whether the host is an IP address."""
        try:
            ipaddress.ip_address(self.host.strip("[]"))
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def _split(authority: str) -> tuple[str, str, str]:
    """Return host, colon and port."""
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


class FrontEndError(ConfigurationError):
    """Invalid settings of a front end.

    :param problems: all of them: setting and problem
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(map(" ".join, problems)), solution="see docs/howto/redirects.md")
        self.problems = tuple(problems)


@dataclass(frozen=True)
class FrontEnd:
    """A web server in front of a registry. All values are valid, and safe between double quotes.

    :param names: host names for clients; the first is the main one
    :param certificate: TLS certificate for all names, with its chain, PEM
    :param key: private key; may be in the same file
    :param registry: URL of the registry, e.g. ``https://registry-1.example.org:5000``; http only on the same machine
    :param registry_ca: PEM file with the authority of the registry's certificate; for https only
    :param mirror: URL below which the mirror has ``v2/NAME/blobs/DIGEST``: a CDN, a mirror, or MirrorManager
    :param no_cdn_names: additional host names without redirects
    :param tree: directory with the mirror's files: blobs that are not in it yet are not redirected
    :param catalog: directory of the catalog, which is served below ``/catalog/``
    :param switch: no request is redirected while this file exists
    :param via: the CDN's pseudonyms in the header Via of its requests, or parts of them
    :param networks: clients that are not redirected: builders, and the CDN's own networks
    :param listen: ports, or addresses with ports, for TLS
    :param plain_listen: the same for HTTP, which is redirected to HTTPS
    :raises FrontEndError: if values are invalid; the error lists all of them
    """

    names: tuple[str, ...]
    certificate: Path
    key: Path
    registry: str
    mirror: str
    registry_ca: Path | None = None
    no_cdn_names: tuple[str, ...] = ()
    tree: Path | None = None
    catalog: Path | None = None
    switch: Path = SWITCH
    via: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    listen: tuple[str, ...] = ("443",)
    plain_listen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if problems := [*self._missing(), *self._wrong(), *self._contradictions()]:
            raise FrontEndError(problems)

    def _missing(self) -> Iterator[tuple[str, str]]:
        """Yield required settings that are missing; an empty path counts as missing."""
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
        """Yield settings with invalid values."""
        yield from _problems("names", self.names, host_name)
        yield from _problems("no_cdn_names", self.no_cdn_names, host_name)
        paths = {"certificate": self.certificate, "switch": self.switch, "registry_ca": self.registry_ca}
        own_key = self.key if self.key != self.certificate else None
        for setting, path in {**paths, "key": own_key, "tree": self.tree, "catalog": self.catalog}.items():
            yield from _problems(setting, [path] if path and path != Path() else [], file_path)
        yield from _problems("registry", [self.registry] if self.registry else [], Address.parse)
        yield from _problems("mirror", [self.mirror] if self.mirror else [], Address.parse)
        yield from _problems("via", self.via, pseudonym)
        yield from _problems("networks", self.networks, network)
        yield from _problems("listen", self.listen, Listen.parse)
        yield from _problems("plain_listen", self.plain_listen, Listen.parse)

    def _contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield valid settings that contradict each other."""
        names, ports = (
            set(_right(self.names, host_name)),
            {address.port for address in _right(self.listen, Listen.parse)},
        )
        for name in sorted(names & set(_right(self.no_cdn_names, host_name))):
            yield "no_cdn_names", f"= {name}: is also in names"
        for registry in _right([self.registry], Address.parse):
            if registry.path:
                yield "registry", f"= {registry}: must be a URL without a path"
            if registry.scheme == "http" and not registry.is_local:
                yield "registry", f"= {registry}: must be https, or on this machine: manifests are served over TLS only"
            if registry.scheme == "https" and registry.is_numeric:
                yield (
                    "registry",
                    f"= {registry}: must have a host name: nginx and httpd do not verify certificates for addresses",
                )
        for mirror in _right([self.mirror], Address.parse):
            if mirror.port in ports and mirror.host in names:
                yield "mirror", f"= {mirror}: is this front end itself, which would redirect in a loop"

    @cached_property
    def server_names(self) -> tuple[str, ...]:
        """All host names, in lower case."""
        return tuple(dict.fromkeys(map(host_name, (*self.names, *self.no_cdn_names))))

    @cached_property
    def registry_address(self) -> Address:
        """The registry's parsed URL."""
        return Address.parse(self.registry)

    @cached_property
    def mirror_address(self) -> Address:
        """The mirror's parsed URL."""
        return Address.parse(self.mirror)

    @cached_property
    def listen_addresses(self) -> tuple[Listen, ...]:
        """Addresses to listen on for TLS."""
        return tuple(map(Listen.parse, self.listen))

    @cached_property
    def plain_addresses(self) -> tuple[Listen, ...]:
        """Addresses to listen on for HTTP."""
        return tuple(map(Listen.parse, self.plain_listen))


def _problems(setting: str, values: Iterable[_Value], parse: Callable[[_Value], object]) -> Iterator[tuple[str, str]]:
    """Yield the problems with the values of a setting."""
    for value in values:
        try:
            parse(value)
        except ValueError as error:
            shown = re.sub("//.*@", "//…@", printable_line(str(value)))[:200]  # hide a password in a URL
            yield setting, f"= {shown}: {error}"


def _right(values: Iterable[str], parse: Callable[[str], _Parsed]) -> Iterator[_Parsed]:
    """Yield the valid values, parsed."""
    for value in values:
        with suppress(ValueError):
            yield parse(value)
