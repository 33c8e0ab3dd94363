# SPDX-License-Identifier: GPL-2.0-or-later
"""Layout of a box: one directory, accessible only to its owner, and its TCP ports on loopback."""

from __future__ import annotations

import configparser
import contextlib
import io
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from fedpkg_container.box.machines import BEYOND, CAPACITY, CLUSTER, MACHINE, Machine, machines
from fedpkg_container.box.ports import ClusterPorts, DistributionPorts, Ports
from fedpkg_container.errors import UsageError
from fedpkg_container.files import user_name, write_atomically
from fedpkg_container.text import reason_text

#: Version of a box's stored data: its settings and its hub's tables.
FORMAT = "1"

#: Hub users, besides one per builder: names and permissions.
ADMIN = "admin"
PACKAGER = "packager"
CONTENT_GENERATOR = "container-builder"


def _machine(parser: configparser.ConfigParser, name: str) -> Machine:
    """A builder; boxes created before builders had architectures store none."""
    arches = parser.get(_section(name), "arches", fallback=MACHINE).split()
    return Machine(name, tuple(arches), parser.getfloat(_section(name), "capacity", fallback=CAPACITY))


def _section(name: str) -> str:
    return f"builder {name}"


#: Variable with the directory of the box.
DIRECTORY_VARIABLE = "FEDPKG_CONTAINER_BOX"


def check_owner(directory: Path) -> None:
    """Raise UsageError if a directory belongs to another user, also for root: the owner could not use root's files."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        owner = directory.stat().st_uid
        if owner != os.geteuid():
            raise UsageError(
                f"{directory} belongs to user {user_name(owner)}; a box can only be used by its owner",
                solution="use another directory: --directory DIRECTORY",
            )


def default_directory() -> Path:
    """The directory of the box in the environment, or else the default one, below the XDG state directory."""
    if named := os.environ.get(DIRECTORY_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "fedpkg-container" / "box"


@dataclass(frozen=True)
class DistributionPlaces:
    """Paths and addresses of a box's distribution: stable registry, front end and mirror.

    :param directory: its directory
    """

    directory: Path
    ports: DistributionPorts

    @property
    def stable(self) -> Path:
        """The stable registry's blobs and configuration."""
        return self.directory / "stable"

    @property
    def mirror(self) -> Path:
        """The mirror's web server."""
        return self.directory / "mirror"

    @property
    def tree(self) -> Path:
        """Files that the mirror serves."""
        return self.directory / "tree"

    @property
    def front_end(self) -> Path:
        """The front end's web server."""
        return self.directory / "front-end"

    @property
    def catalog(self) -> Path:
        """The web site of the stable registry's contents, which the front end serves."""
        return self.directory / "catalog"

    @property
    def record(self) -> Path:
        """Log of promotions: what, when, who."""
        return self.directory / "promotions.jsonl"

    @property
    def switch(self) -> Path:
        """While this file exists, the front end redirects nothing."""
        return self.directory / "redirects-off"

    @property
    def address(self) -> str:
        """The stable registry in references: its front end."""
        return f"127.0.0.1:{self.ports.front_end}"

    @property
    def no_cdn_address(self) -> str:
        """The same, without redirects."""
        return f"localhost:{self.ports.front_end}"

    @property
    def mirror_url(self) -> str:
        """URL of the mirror, on another host name than the front end: clients send no credentials there."""
        return f"http://localhost:{self.ports.mirror}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that builders may use if FROM names the stable registry."""
        return (self.address, self.no_cdn_address, urlsplit(self.mirror_url).netloc)

    @property
    def mirror_log(self) -> Path:
        """Log of the mirror's requests, one per line."""
        return self.mirror / "access.log"

    @property
    def front_end_log(self) -> Path:
        """Log of the front end's requests, one per line, with redirect targets."""
        return self.front_end / "access.log"


@dataclass(frozen=True)
class ClusterPlaces:
    """Paths and addresses of a box's cluster.

    :param directory: its directory
    """

    directory: Path
    ports: ClusterPorts

    @property
    def volumes(self) -> Path:
        """Volumes of pods."""
        return self.directory / "volumes"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the builders."""
        return self.directory / "kubeconfig"

    @property
    def token(self) -> Path:
        """The token of the builders."""
        return self.directory / "token"

    @property
    def url(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.ports.api}"


@dataclass(frozen=True)
class Layout:
    """Directory of a box, and the paths in it.

    :param distribution: None if the box has none
    :param cluster: None if builds run on the builders
    """

    directory: Path
    ports: Ports
    machines: tuple[Machine, ...]
    distribution: DistributionPlaces | None = None
    cluster: ClusterPlaces | None = None

    @classmethod
    def open(cls, directory: Path, *, builders: Sequence[Machine] | None = None) -> Layout:
        """A box's directory; created, with ports selected, if it does not exist.

        :param builders: builders of a new box; None for one of this machine's architecture
        :raises UsageError: it contains other files, or belongs to another user
        """
        directory = directory.absolute()
        settings = directory / "box.ini"
        check_owner(directory)
        if directory.exists() and not directory.is_dir():
            raise UsageError(f"{directory} is not a directory", solution="name a directory with --directory")
        if not settings.exists():
            if directory.exists() and any(directory.iterdir()):
                raise UsageError(
                    f"{directory} is not empty and not a box",
                    solution="name an empty or a new directory with --directory",
                )
            try:
                directory.mkdir(parents=True, exist_ok=True)
                directory.chmod(0o700)
            except OSError as error:
                raise UsageError(
                    f"{directory} cannot be created: {reason_text(error)}", solution="name another one with --directory"
                ) from error
            cls(directory, Ports.choose(), tuple(builders or machines(1)))._save(settings)
        parser = configparser.ConfigParser()
        parser.read(settings)
        if parser.get("box", "format", fallback="") != FORMAT:
            raise UsageError(
                f"the box in {directory} was created by another version of this program",
                solution="delete the directory, or name another one with --directory",
            )
        names = parser.get("box", "builders").split()
        layout = cls(directory, Ports.read(parser["ports"]), tuple(_machine(parser, name) for name in names))
        if parser.has_section("distribution"):
            layout = layout._with(DistributionPorts.read(parser["distribution"]))
        if parser.has_section("cluster"):
            layout = layout._with_api(ClusterPorts.read(parser["cluster"]))
        if set(layout.ports.all) != set(parser["ports"]):
            layout._save(settings)
        return layout

    def with_distribution(self) -> Layout:
        """Add a stable registry, a front end and a mirror to the box.

        :raises UsageError: a builder has the name of one of them
        """
        if self.distribution is not None:
            return self
        self._check_free(BEYOND, "the distribution")
        layout = self._with(DistributionPorts.choose(taken=self.ports.all.values()))
        layout._save(self.directory / "box.ini")
        return layout

    def with_cluster(self) -> Layout:
        """Add a cluster, in which all builds of this machine's architecture run.

        :raises UsageError: a builder has its name
        """
        if self.cluster is not None:
            return self
        self._check_free({CLUSTER}, "the cluster")
        layout = self._with_api(ClusterPorts.choose(taken=self.ports.all.values()))
        layout._save(self.directory / "box.ini")
        return layout

    def _check_free(self, names: Collection[str], owner: str) -> None:
        """Check that no builder has the name of another server.

        :raises UsageError: one has
        """
        if clash := sorted(set(names) & set(self.builders)):
            raise UsageError(
                f"this box has a builder called {clash[0]}, which is the name of a server of {owner}",
                solution="create another box with --directory",
            )

    def _with_api(self, ports: ClusterPorts) -> Layout:
        return replace(self, cluster=ClusterPlaces(self.directory / "cluster", ports))

    def _with(self, ports: DistributionPorts) -> Layout:
        return replace(self, distribution=DistributionPlaces(self.directory / "distribution", ports))

    def _save(self, path: Path) -> None:
        parser = configparser.ConfigParser()
        parser["box"] = {"format": FORMAT, "builders": " ".join(self.builders)}
        for machine in self.machines:
            parser[_section(machine.name)] = {"arches": " ".join(machine.arches), "capacity": f"{machine.capacity:g}"}
        parser["ports"] = {name: str(port) for name, port in self.ports.all.items()}
        if self.distribution:
            ports = self.distribution.ports.all
            parser["distribution"] = {name: str(port) for name, port in ports.items()}
        if self.cluster:
            parser["cluster"] = {name: str(port) for name, port in self.cluster.ports.all.items()}
        text = io.StringIO()
        parser.write(text)
        write_atomically(path, text.getvalue())

    @property
    def builders(self) -> tuple[str, ...]:
        """Builder names."""
        return tuple(machine.name for machine in self.machines)

    @property
    def pki(self) -> Path:
        """Certificates."""
        return self.directory / "pki"

    @property
    def topdir(self) -> Path:
        """Koji's topdir: builds, repositories, task output."""
        return self.directory / "hub" / "topdir"

    @property
    def database(self) -> Path:
        """The hub's database."""
        return self.directory / "hub" / "hub.db"

    @property
    def hub_configuration(self) -> Path:
        """The site's hub configuration: ``[policy]``, as in hub.conf. Optional."""
        return self.directory / "hub" / "hub.conf"

    @property
    def access_log(self) -> Path:
        """Log of the hub's requests, one per line."""
        return self.directory / "hub" / "access.log"

    @property
    def distgit(self) -> Path:
        """The bare repositories of dist-git."""
        return self.directory / "dist-git"

    @property
    def registry(self) -> Path:
        """The registry's blobs and configuration."""
        return self.directory / "registry"

    @property
    def home(self) -> Path:
        """HOME of the box's shell."""
        return self.directory / "home"

    def builder(self, name: str) -> Path:
        """A builder's data."""
        return self.directory / "builders" / name

    def log(self, service: str) -> Path:
        """Log of a service."""
        return self.directory / "logs" / f"{service}.log"

    def pid_file(self, service: str) -> Path:
        """PID file of a service."""
        return self.directory / "run" / f"{service}.pid"

    @property
    def hub_url(self) -> str:
        """Koji's ``server`` setting."""
        return f"https://127.0.0.1:{self.ports.hub}/kojihub"

    @property
    def files_url(self) -> str:
        """URL of Koji's topdir (topurl)."""
        return f"http://127.0.0.1:{self.ports.files}"

    @property
    def registry_address(self) -> str:
        """The registry as used in references."""
        return f"127.0.0.1:{self.ports.registry}"

    @property
    def registry_hosts(self) -> tuple[str, ...]:
        """The box's registries and their redirect targets, all on loopback."""
        return (self.registry_address, *(self.distribution.hosts if self.distribution else ()))
