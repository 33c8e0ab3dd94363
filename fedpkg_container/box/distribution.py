# SPDX-License-Identifier: GPL-2.0-or-later
"""The servers that distribute a box's images: stable registry, its front end, and a mirror of its blobs.

Clients use only the front end: as ``127.0.0.1:PORT``, or without redirects as ``localhost:PORT``.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from fedpkg_container.box import nginx, registry
from fedpkg_container.box.answers import answers, listens
from fedpkg_container.box.layout import Layout
from fedpkg_container.box.pki import Authority
from fedpkg_container.box.services import Service
from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.registry.redirects import FrontEnd, render

#: Koji tags whose builds may be promoted: Fedora's for container updates.
STABLE_TAGS = "*-container-updates"


class Distribution:
    """The servers besides the candidate registry.

    :param layout: of a box with them
    """

    def __init__(self, layout: Layout, authority: Authority) -> None:
        assert layout.distribution is not None
        self.layout = layout
        self.places = layout.distribution
        self.authority = authority

    @cached_property
    def services(self) -> list[Service]:
        """All of them, in start order."""
        return [self.stable, self.mirror, self.front_end]

    @cached_property
    def stable(self) -> Service:
        """The registry of promoted images."""
        address = f"127.0.0.1:{self.places.ports.stable}"
        certificate = self.authority.issue("stable", server=True)
        ca, client = self.authority.certificate_path, self.authority.issue(registry.FRONT)
        configuration = registry.write_configuration(self.places.stable, address, certificate, ca)
        service = self._service(
            "stable",
            [registry.program(), "serve", configuration],
            lambda: answers(f"https://{address}/v2/", 200, ca=ca, client=client),
        )
        return replace(service, environment=registry.ENVIRONMENT)

    @cached_property
    def mirror(self) -> Service:
        """A web server for the blob tree, over plain http as mirrors are."""
        self.places.tree.mkdir(mode=0o700, parents=True, exist_ok=True)
        port = self.places.ports.mirror
        command = nginx.command(self.places.mirror, nginx.files(self.places.tree, port))
        return self._service("mirror", command, lambda: listens(port))

    @cached_property
    def front_end(self) -> Service:
        """nginx with the output of ``fedpkg-container-registry redirects``; writing requires a client certificate."""
        servers = registry.guard(render("nginx", self.settings), self.authority)
        command = nginx.command(self.places.front_end, servers)
        return self._registry("front-end", command, self.places.address)

    @cached_property
    def settings(self) -> FrontEnd:
        """Settings of the front end.

        :raises UsageError: the path of the box's directory is not valid in a configuration
        """
        certificate, ports = self.authority.issue("front-end", server=True), self.places.ports
        try:
            return FrontEnd(
                names=("127.0.0.1",),
                no_cdn_names=("localhost",),
                certificate=certificate,
                key=certificate,
                registry=f"https://localhost:{ports.stable}",
                registry_ca=self.authority.certificate_path,
                mirror=self.places.mirror_url,
                tree=self.places.tree,
                switch=self.places.switch,
                listen=(f"127.0.0.1:{ports.front_end}",),
                catalog=self.places.catalog,
            )
        except ConfigurationError as error:
            raise UsageError(error.reason, solution="name another directory for the box with --directory") from error

    def site(self, importer: Path) -> configparser.ConfigParser:
        """``fedpkg-container-registry`` configuration for this box.

        :param importer: PEM file of the shared account that imports base images
        """
        places, front = self.places, self.settings
        site = configparser.ConfigParser(interpolation=None)
        site["koji"] = {"profile": "koji"}
        site["candidate"] = {"registry": self.layout.registry_address}
        site["content_generator"] = {
            "certificate": str(importer),
            "server_ca": str(self.authority.certificate_path),
        }
        site["engine"] = {"state": str(self.layout.directory / "imports")}
        site["target stable"] = {"registry": places.address, "koji_tags": STABLE_TAGS}
        site["promotion"] = {"record": str(places.record)}
        site["mirror"] = {"registry": places.no_cdn_address, "directory": str(places.tree)}
        site["catalog"] = {"directory": str(places.catalog), "url": f"https://{places.address}/catalog/"}
        site["redirects"] = {
            "names": " ".join(front.names),
            "no_cdn_names": " ".join(front.no_cdn_names),
            "certificate": str(front.certificate),
            "registry": front.registry,
            "registry_ca": str(front.registry_ca),
            "mirror": front.mirror,
            "tree": str(front.tree),
            "switch": str(front.switch),
            "listen": " ".join(front.listen),
            "catalog": str(places.catalog),
        }
        return site

    def _registry(self, name: str, command: list[str | Path], address: str) -> Service:
        ca = self.authority.certificate_path
        return self._service(name, command, lambda: answers(f"https://{address}/v2/", 200, ca=ca))

    def _service(self, name: str, command: list[str | Path], ready: Callable[[], bool]) -> Service:
        return Service(name, command, ready, self.layout.log(name), self.layout.pid_file(name))
