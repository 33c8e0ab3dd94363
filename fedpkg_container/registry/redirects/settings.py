"""What a site decides for the front end of its registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.redirects.values import (
    Address,
    Listen,
    file_path,
    host_name,
    network,
    pseudonym,
)
from fedpkg_container.text import printable_line

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
