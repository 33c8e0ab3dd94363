# SPDX-License-Identifier: GPL-2.0-or-later
"""A box whose hub and builder are a stock Koji's."""

from __future__ import annotations

import configparser
import contextlib
import shutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.box import builder
from fedpkg_container.box.answers import answers
from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN, PACKAGER, Layout
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.box.services import Service
from fedpkg_container.box.shell import environment
from fedpkg_container.engines.workspace import mounts_below
from fedpkg_container.hub.session import log_out
from fedpkg_container.process import kill_all, process_ids, run
from tests.stock.installation import koji_commands
from tests.stock.postgres import USER, Postgres
from tests.stock.source import PYTHON, KojiSource

HERE = Path(__file__).parent
#: Seconds for one koji command.
COMMAND_TIMEOUT = 120.0


class StockBox(Box):
    """Hub and kojid of a source tree; registry, dist-git and certificates of the box."""

    def __init__(self, layout: Layout, source: KojiSource) -> None:
        super().__init__(layout)
        self.source = source
        self.hub_plugins = source.installed.hub_plugins
        self.postgres = Postgres(layout.log("postgres"), layout.pid_file("postgres"))

    @cached_property
    def hub(self) -> Service:
        """The tree's hub."""
        layout = self.layout
        command: list[str | Path] = [
            *(PYTHON, HERE / "hub_server.py", "--port", str(layout.ports.hub)),
            *("--configuration", self._write_hub_configuration()),
            *("--certificate", self.authority.issue("hub", server=True), "--ca", self.authority.certificate_path),
        ]
        made = self._service("hub", command, lambda: answers(layout.hub_url, 405, ca=self.authority.certificate_path))
        return Service(
            made.name, made.command, made.ready, made.log, made.pid_file, self.source.environment, umask=0o022
        )  # as httpd has it: builders read the repositories

    def builder(self, name: str) -> Service:
        """The tree's kojid."""
        etc = self._write_builder_configuration(name)
        log, layers = (self.layout.builder(name) / each for each in ("var-log", "layers"))
        for path in (log, layers):
            path.mkdir(exist_ok=True)
        command: list[str | Path] = [
            *("unshare", "--mount", "--propagation", "private", "--", PYTHON, HERE / "kojid_launcher.py"),
            *("--etc", etc, "--layers", layers, "--log", log, self.source.root / "builder" / "kojid"),
        ]
        service = self._service(name, command, lambda: self._takes_tasks(name))
        return Service(
            name, command, service.ready, service.log, service.pid_file, self.source.environment, umask=0o022
        )

    def up(self) -> None:
        """Start everything, with an empty database.

        :raises FedpkgContainerError: a server did not start, or a command failed
        """
        self.up_without_builders()
        for name in self.layout.builders:
            self.start_builder(name)

    def up_without_builders(self) -> None:
        """Start everything but kojid, with an empty database."""
        topdir = self.layout.topdir
        for path in (*(topdir / name for name in ("packages", "repos", "work", "scratch")), self.layout.distgit):
            path.mkdir(mode=0o755, parents=True)
        self.postgres.create(
            self.source.root / "schemas" / "schema.sql",
            f"INSERT INTO users (name, status, usertype) VALUES ('{ADMIN}', 0, 0)",
            "INSERT INTO user_perms (user_id, perm_id, creator_id) SELECT users.id, permissions.id, users.id"
            " FROM users, permissions WHERE permissions.name = 'admin'",
        )
        for service in (self.hub, self.registry, self.distgit):
            service.start()
        for service in (self.hub, self.registry, self.distgit):
            service.wait_ready()
        self.fill()

    def fill(self) -> None:
        """What docs/howto/site.md has a site do, with the tree's own koji command."""
        session = self.session(ADMIN)
        session.createUser(PACKAGER)
        log_out(session)
        names = {"builder1.example.org": self.layout.builders[0], "x86_64": MACHINE, "kojiadmin": ADMIN}
        for arguments in koji_commands(names):
            self.koji(*arguments)

    def koji(self, *arguments: str, user: str = ADMIN) -> str:
        """Run the tree's own koji command; what it prints.

        :raises ProgramError: it failed
        """
        variables = {**environment(self, user=user), **self.source.environment}
        command: list[str | Path] = [PYTHON, self.source.root / "cli" / "koji", *arguments]
        return run(command, env=variables, timeout=COMMAND_TIMEOUT).text

    def down(self) -> None:
        """Stop all servers, kojid's tasks too before the hub that they would wait for, and delete the database."""
        for name in self.layout.builders:
            self.builder(name).stop()
            layers = self.layout.builder(name) / "layers"
            kill_all(lambda layers=layers: [pid for pid in process_ids() if mounts_below(layers, pid)])  # type: ignore[misc]
        super().down()
        self.postgres.remove()

    @contextlib.contextmanager
    def with_hub_plugins(self, directory: Path) -> Iterator[None]:
        """Have the hub load ``hub_containerbuild`` from another directory for a while."""
        ours = self._restart_hub(directory)
        try:
            yield
        finally:
            self._restart_hub(ours)

    def _restart_hub(self, plugins: Path) -> Path:
        before, self.hub_plugins = self.hub_plugins, plugins
        self._write_hub_configuration()
        self.hub.stop()
        self.hub.start()
        self.hub.wait_ready()
        return before

    def add_hub_configuration(self, path: Path) -> None:
        """Have the hub read another file when it starts."""
        directory = Path(f"{self._write_hub_configuration()}.d")
        directory.mkdir(mode=0o755, exist_ok=True)
        shutil.copy(path, directory)

    def _takes_tasks(self, name: str) -> bool:
        session = koji.ClientSession(self.layout.hub_url, {"serverca": str(self.authority.certificate_path)})
        return any(host["name"] == name for host in session.listHosts(ready=True, enabled=True))

    def _write_hub_configuration(self) -> Path:
        path = self.layout.topdir.parent / "hub.conf"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hub = {
            "DBConnectionString": f"dbname=koji user={USER} host={self.postgres.directory}",
            "KojiDir": self.layout.topdir,
            "KojiWebURL": "http://127.0.0.1/koji",
            "PluginPath": f"{self.source.root / 'plugins' / 'hub'}:{self.hub_plugins}",
            "Plugins": "runroot_hub hub_containerbuild",
            "DisableNotifications": True,
            "RunInterval": 0,
        }
        return _write(path, {"hub": hub})

    def _write_builder_configuration(self, name: str) -> Path:
        """What kojid finds in /etc; the directory."""
        builder.write_configuration(self, name)
        directory = self.layout.builder(name)
        etc = directory / "etc"
        for path in (etc / "kojid" / "plugins", etc / "mock" / "koji", directory / "mock"):
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copy(directory / "builder_containerbuild.conf", etc / "kojid" / "plugins")
        stock = self.source.root / "plugins" / "builder"
        shutil.copy(stock / "save_failed_tree.conf", etc / "kojid" / "plugins")
        kojid: Mapping[str, Any] = {
            "server": self.layout.hub_url,
            "topdir": self.layout.topdir,
            "topurl": self.layout.files_url,
            "workdir": directory / "work",
            "mockdir": directory / "mock",
            "cert": self.authority.issue(name),
            "serverca": self.authority.certificate_path,
            "allowed_scms": "127.0.0.1*:/container/*:no",
            "pluginpath": f"{stock}:{self.source.installed.builder_plugins}",
            "plugins": "save_failed_tree builder_containerbuild",
            "sleeptime": 1,
            "retry_interval": 2,
            "minspace": 512,
        }
        _write(etc / "kojid" / "kojid.conf", {"kojid": kojid})
        return etc


def _write(path: Path, sections: Mapping[str, Mapping[str, Any]]) -> Path:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    for name, values in sections.items():
        parser[name] = {key: str(value) for key, value in values.items()}
    with path.open("w") as file:
        parser.write(file)
    return path
