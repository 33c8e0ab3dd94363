"""What a site decides for the front end of its registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
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

#: Where redirects are turned off. In /etc: there web servers may look on systems with SELinux too.
SWITCH = Path("/etc/fedpkg-container/redirects-off")


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
    :raises ConfigurationError: some values cannot be used; all of them are named
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
        problems = list(self._wrong()) or list(self._contradictions())
        if problems:
            raise ConfigurationError("; ".join(problems), solution="see docs/redirects.md")

    def _wrong(self) -> Iterator[str]:
        """Values that are wrong by themselves."""
        yield from _problems("names", self.names, host_name)
        yield from _problems("no_cdn_names", self.no_cdn_names, host_name)
        paths = {"certificate": self.certificate, "key": self.key, "switch": self.switch}
        optional = {"registry_ca": self.registry_ca, "tree": self.tree}
        for setting, path in {**paths, **{name: each for name, each in optional.items() if each}}.items():
            yield from _problems(setting, [path], file_path)
        yield from _problems("registry", [self.registry], Address.parse)
        yield from _problems("mirror", [self.mirror], Address.parse)
        yield from _problems("via", self.via, pseudonym)
        yield from _problems("networks", self.networks, network)
        yield from _problems("listen", self.listen, Listen.parse)
        yield from _problems("plain_listen", self.plain_listen, Listen.parse)

    def _contradictions(self) -> Iterator[str]:
        """Values that do not go together."""
        registry, mirror = self.registry_address, self.mirror_address
        if not self.names:
            yield "names: there are none"
        if not self.listen:
            yield "listen: there are no ports"
        if twice := sorted({*map(host_name, self.names)} & {*map(host_name, self.no_cdn_names)}):
            yield f"no_cdn_names: {twice[0]} is in names too"
        if registry.path:
            yield f"registry = {registry}: must be an address without a path"
        if registry.scheme == "http" and not registry.is_local:
            yield f"registry = {registry}: must be https, or on this machine: manifests come over TLS alone"
        if registry.scheme == "https" and registry.is_numeric:
            yield f"registry = {registry}: must have a name: nginx and httpd look for no address in a certificate"
        if registry.scheme == "https" and self.registry_ca is None:
            yield "registry_ca is missing: without it the registry's certificate cannot be verified"
        if mirror.port in {each.port for each in self.listen_addresses} and mirror.host in self.names:
            yield f"mirror = {mirror}: is this front end itself: redirects would go round in circles"

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


def _problems(setting: str, values: Iterable[_Value], parse: Callable[[_Value], object]) -> Iterator[str]:
    """What is wrong with the values of one setting."""
    for value in values:
        try:
            parse(value)
        except ValueError as error:
            shown = re.sub("//.*@", "//…@", printable_line(str(value)))[:200]  # no password of an address
            yield f"{setting} = {shown}: {error}"
