# SPDX-License-Identifier: GPL-2.0-or-later
"""A complete box: set-up, start, stop, and logins of its users."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import koji

import fedpkg_container.koji_plugins
from fedpkg_container.box import distgit, nginx, registry
from fedpkg_container.box.admin_session import AdminSession
from fedpkg_container.box.answers import answers, listens
from fedpkg_container.box.distribution import Distribution
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.hub.seed import seed
from fedpkg_container.box.layout import ADMIN, CONTENT_GENERATOR, PACKAGER, Layout
from fedpkg_container.box.machines import CLUSTER, Machine
from fedpkg_container.box.pki import Authority
from fedpkg_container.box.services import Service
from fedpkg_container.hub.call_log import log_calls
from fedpkg_container.hub.image_records import KojiRecords
from fedpkg_container.hub.session import log_out
from fedpkg_container.registry import staging
from fedpkg_container.registry.skopeo import Access, Registry

#: The content generator that imports container builds.
CONTENT_GENERATOR_NAME = "fedpkg-container"
#: Directory of the plugins that hub and builder load.
PLUGINS = Path(fedpkg_container.koji_plugins.__path__[0])


class Box:
    """All services on one machine.

    :param layout: its directory
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @cached_property
    def authority(self) -> Authority:
        """The box's certificate authority."""
        return Authority(self.layout.pki)

    @cached_property
    def services(self) -> list[Service]:
        """All services in start order; they are stopped in reverse order."""
        return [*self._servers, *map(self.builder, self.layout.builders), self.supervisor]

    @cached_property
    def _servers(self) -> list[Service]:
        beyond = self.distribution.services if self.distribution else []
        return [self.hub, self.registry, self.distgit, *beyond, *([self.cluster] if self.cluster else [])]

    @cached_property
    def distribution(self) -> Distribution | None:
        """Servers that distribute images; None if there are none."""
        return Distribution(self.layout, self.authority) if self.layout.distribution else None

    @cached_property
    def hub(self) -> Service:
        """The Koji hub."""
        layout = self.layout
        command: list[str | Path] = [
            *_module("fedpkg_container.box.hub.app"),
            *("--port", str(layout.ports.hub), "--database", layout.database, "--topdir", layout.topdir),
            *("--certificate", self.authority.issue("hub", server=True), "--ca", self.authority.certificate_path),
            *("--access-log", layout.access_log, "--plugin-path", PLUGINS / "hub", "--plugin", "hub_containerbuild"),
            *("--config", layout.hub_configuration, "--builders", layout.builder("")),
        ]
        return self._service("hub", command, lambda: answers(layout.hub_url, 405, ca=self.authority.certificate_path))

    @cached_property
    def registry(self) -> Service:
        """The registry of candidates and of images being built; its nginx also serves the files of Koji's topdir."""
        layout, ca = self.layout, self.authority.certificate_path
        address, behind = layout.registry_address, f"127.0.0.1:{layout.ports.registry_storage}"
        client = self.authority.issue(registry.FRONT)
        configuration = registry.write_configuration(
            layout.registry, behind, self.authority.issue("registry", server=True), ca
        )
        storage = self._service(
            "registry-storage",
            [registry.program(), "serve", configuration],
            lambda: answers(f"https://{behind}/v2/", 200, ca=ca, client=client),
        )
        servers = (registry.front(address, behind, self.authority), nginx.files(layout.topdir, layout.ports.files))
        command = nginx.command(layout.registry / "front", "".join(servers))
        service = self._service("registry", command, lambda: answers(f"https://{address}/v2/", 200, ca=ca))
        return replace(service, backend=storage)

    @cached_property
    def distgit(self) -> Service:
        """The dist-git repositories."""
        ports = self.layout.ports
        command: list[str | Path] = [
            *_module("fedpkg_container.box.distgit"),
            *("--root", self.layout.distgit, "--port", str(ports.distgit)),
            *("--anonymous-port", str(ports.distgit_anonymous)),
            *("--certificate", self.authority.issue("distgit", server=True), "--ca", self.authority.certificate_path),
        ]
        return self._service("distgit", command, lambda: listens(ports.distgit) and listens(ports.distgit_anonymous))

    @cached_property
    def cluster(self) -> Service | None:
        """The cluster in which builds run; None if they run on the builders."""
        places, ca = self.layout.cluster, self.authority.certificate_path
        if places is None:
            return None
        from fedpkg_container.box.cluster.site import write_credentials

        write_credentials(places, self.authority)
        command: list[str | Path] = [
            *_module("fedpkg_container.box.cluster"),
            *("--directory", places.volumes, "--port", str(places.ports.api), "--token-file", places.token),
            *("--topdir", self.layout.topdir, "--certificate", self.authority.issue("kubernetes", server=True)),
        ]
        return self._service(CLUSTER, command, lambda: answers(f"{places.url}/version", 200, ca=ca))

    def builder(self, name: str) -> Service:
        """A builder by name."""
        from fedpkg_container.box import builder

        configuration = builder.write_configuration(self, name)
        command = [*_module("fedpkg_container.box.builder"), configuration]
        ready = self.layout.builder(name) / "ready"
        service = self._service(name, command, lambda: ready.exists() and ready.read_text() == str(service.pid))
        # Files that builders check out keep their modes in images.
        return replace(service, umask=0o022)

    @cached_property
    def supervisor(self) -> Service:
        """Restarts others that end without being stopped."""
        pid_file = self.layout.pid_file("supervisor")
        ready = pid_file.with_suffix(".ready")
        command = [*_module("fedpkg_container.box.supervisor"), pid_file]
        service = self._service("supervisor", command, lambda: ready.exists() and ready.read_text() == str(service.pid))
        return replace(service, supervised=False)

    def _service(self, name: str, command: list[str | Path], ready: Callable[[], bool]) -> Service:
        return Service(name, command, ready, self.layout.log(name), self.layout.pid_file(name))

    def up(self) -> None:
        """Start stopped services and wait until they respond; set up a new box first.

        :raises FedpkgContainerError: a server did not start
        """
        for path in (self.layout.topdir, self.layout.distgit, self.layout.home):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        seed(Database(self.layout.database), ADMIN)
        for service in self._servers:
            service.start()
        for service in self._servers:
            service.wait_ready()
        self.fill()
        for name in self.layout.builders:
            self.start_builder(name)
        self.supervisor.start()
        self.supervisor.wait_ready()

    def start_builder(self, name: str) -> None:
        """Start one builder and wait until it polls for tasks."""
        service = self.builder(name)
        if service.pid is None:
            (self.layout.builder(name) / "ready").unlink(missing_ok=True)
        service.start()
        service.wait_ready()

    def down(self) -> None:
        """Stop the supervisor, then all servers, builders first, and clean up after interrupted builds."""
        from fedpkg_container.box import builder

        self.supervisor.stop()
        for name in self.layout.builders:
            self.builder(name).ask_to_stop()
        for service in reversed(self.services):
            service.stop()
        for name in self.layout.builders:
            builder.clean_up(self.layout.builder(name))

    def remove(self) -> None:
        """Stop everything, delete the directory."""
        self.down()
        shutil.rmtree(self.layout.directory)

    def credentials(self, user: str) -> Path:
        """PEM file with which a hub user logs in."""
        return self.authority.issue(user)

    def session(self, user: str) -> Any:
        """A logged-in koji session of one of the box's users."""
        options = {
            "serverca": str(self.authority.certificate_path),
            "max_retries": 5,
            "retry_interval": 1,
            "timeout": 60,
        }
        session = log_calls(koji.ClientSession(self.layout.hub_url, options))
        session.ssl_login(str(self.credentials(user)), None, str(self.authority.certificate_path))
        return session

    def fill(self) -> None:
        """Create missing users and builders on the hub."""
        session: AdminSession = self.session(ADMIN)
        if session.getUser(CONTENT_GENERATOR) is None:
            session.createUser(PACKAGER)
            session.createUser(CONTENT_GENERATOR)
            session.grantCGAccess(CONTENT_GENERATOR, CONTENT_GENERATOR_NAME, create=True)
        for machine in self.layout.machines:
            self.add_builder(session, machine)
        log_out(session)

    @staticmethod
    def add_builder(session: AdminSession, machine: Machine) -> None:
        """Register a builder with the hub, unless it is registered."""
        if session.getHost(machine.name) is None:
            session.addHost(machine.name, list(machine.arches))
            session.editHost(machine.name, capacity=machine.capacity)
            for channel in ("createrepo", "container-binary"):
                session.addHostToChannel(machine.name, channel)

    def prune(self) -> int:
        """Delete staged images of builds whose task has ended; return the number of images."""
        session = self.session(ADMIN)
        certificates = self.layout.builder(self.layout.builders[0]) / "certs"
        registry = Registry(Access(certificates))
        deleted = staging.prune_staging(registry, self.layout.registry_address, KojiRecords(session))
        log_out(session)
        return deleted

    def create_repository(self, name: str) -> Path:
        """Create a dist-git repository, e.g. ``container/hello-web``, unless it exists."""
        return distgit.create_repository(self.layout.distgit, name)


def _module(name: str) -> list[str | Path]:
    return [sys.executable, "-m", name]
