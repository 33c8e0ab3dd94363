# SPDX-License-Identifier: GPL-2.0-or-later
"""A source tree of Koji, and what it takes to run it here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import run

PROJECT = Path(__file__).parents[2]
#: The Python of hub and kojid; ``make check-stock`` makes it.
PYTHON = PROJECT / ".stock-venv" / "bin" / "python"
#: Seconds for installing our package.
INSTALL_TIMEOUT = 300.0
#: Names the tree.
VARIABLE = "KOJI_SOURCE"
#: Names a directory with our RPM or Debian packages, which are unpacked instead of installing the source.
PACKAGES_VARIABLE = "STOCK_PACKAGES"
#: Python modules that are packages of the system → Debian's name, Fedora's name.
MODULES = {"dnf": ("python3-dnf", "python3-dnf"), "librepo": ("python3-librepo", "python3-librepo"),
           "libcomps": ("python3-libcomps", "python3-libcomps"), "rpm": ("python3-rpm", "python3-rpm")}  # fmt: skip
#: The same for programs.
PROGRAMS = {"createrepo_c": ("createrepo-c", "createrepo_c"), "psql": ("postgresql", "postgresql-server"),
            "unshare": ("util-linux", "util-linux")}  # fmt: skip


def postgres_program(name: str) -> str | None:
    """A program of PostgreSQL's server: Debian keeps them apart, a directory for each version."""
    directories = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return shutil.which(name, path=os.pathsep.join([*map(str, reversed(directories)), os.environ.get("PATH", "")]))


@dataclass(frozen=True)
class Installed:
    """Our package in a separate directory.

    :param site: directory of the Python modules
    :param hub_plugins: directory for ``PluginPath``
    :param builder_plugins: directory for ``pluginpath``
    """

    site: Path
    hub_plugins: Path
    builder_plugins: Path


@dataclass(frozen=True)
class KojiSource:
    """A source tree of Koji.

    :param root: where it is
    :param version: of its library
    :param installed: our package: its modules and plugins
    """

    root: Path
    version: str
    installed: Installed

    @classmethod
    def open(cls, root: Path, directory: Path) -> KojiSource:
        """Look at a tree, and for everything that running it needs, and install our package.

        :param directory: of the installation
        :raises FedpkgContainerError: it is not a source tree of Koji, or packages are missing; all are named
        """
        if not (root / "builder" / "kojid").is_file() or not (root / "kojihub").is_dir():
            raise FedpkgContainerError(
                f"{root} is not a source tree of Koji 1.34 or newer", solution="make check-stock KOJI=/path/to/koji"
            )
        _check_system()
        said = run(
            [PYTHON, "-c", "import koji; print(koji.__version__)"], env={"PYTHONPATH": str(root)}, cwd=root, timeout=60
        )
        packages = os.environ.get(PACKAGES_VARIABLE)
        return cls(root, said.text.strip(), unpack(Path(packages), directory) if packages else _install(directory))

    @property
    def level(self) -> str:
        """The newest version that its schema is upgraded to: of a checkout, later than its own."""
        names = (path.stem for path in (self.root / "schemas").glob("schema-upgrade-*.sql"))
        return max((name.rpartition("-")[2] for name in names), key=lambda name: [*map(int, name.split("."))])

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables with which its programs find its modules, and ours."""
        return {"PYTHONPATH": f"{self.root}:{self.root / 'cli'}:{self.installed.site}", "PYTHONDONTWRITEBYTECODE": "1"}


def unpack(packages: Path, directory: Path) -> Installed:
    """Unpack the packages of the modules and plugins of hub and builders, as ``make rpm`` or ``make deb`` built them.

    That of the box too: its web server runs the hub here, in the place of httpd.

    :raises FedpkgContainerError: a package is missing
    """
    root = directory / "root"
    root.mkdir()
    for name in ("python3-fedpkg-container", *(f"fedpkg-container-{part}" for part in ("hub", "builder", "box"))):
        found = [*packages.glob(f"{name}[-_][0-9]*.deb"), *packages.glob(f"{name}[-_][0-9]*.rpm")]
        if len(found) != 1:
            raise FedpkgContainerError(
                f"{packages} has {len(found)} packages {name}",
                solution="run make rpm or make deb, and name its directory",
            )
        if found[0].suffix == ".deb":
            run(["dpkg-deb", "--extract", found[0], root], timeout=INSTALL_TIMEOUT)
        else:
            script = 'rpm2cpio "$1" | cpio --extract --make-directories --quiet --no-absolute-filenames'
            run(["sh", "-c", script, "unpack", found[0].resolve()], cwd=root, timeout=INSTALL_TIMEOUT)
    (modules,) = root.glob("usr/lib/python3*/*-packages/fedpkg_container")
    return Installed(modules.parent, root / "usr/lib/koji-hub-plugins", root / "usr/lib/koji-builder-plugins")


def _install(directory: Path) -> Installed:
    """Install our package without what it needs, from a copy, since that leaves files beside it."""
    copy, site = directory / "source", directory / "site"
    copy.mkdir()
    shutil.copytree(
        PROJECT / "fedpkg_container", copy / "fedpkg_container", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, copy)
    for name in ("docs/man", "completion"):
        shutil.copytree(PROJECT / name, copy / name)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--target", str(site)]
    run([PYTHON, "-m", "pip", "install", *options, copy], timeout=INSTALL_TIMEOUT)
    plugins = site / "fedpkg_container" / "koji_plugins"
    return Installed(site, plugins / "hub", plugins / "builder")


def _check_system() -> None:
    if os.geteuid() != 0:
        raise FedpkgContainerError("a stock Koji is run by root alone", solution="run make check-stock as root")
    if not PYTHON.exists():
        raise FedpkgContainerError(f"{PYTHON} is missing", solution="run make check-stock, which makes it")
    missing = [names for program, names in PROGRAMS.items() if shutil.which(program) is None]
    if postgres_program("initdb") is None:
        missing.append(PROGRAMS["psql"])
    for module, names in MODULES.items():
        if run([PYTHON, "-c", f"import {module}"], timeout=60, check=False).status:
            missing.append(names)
    if missing:
        debian, fedora = (" ".join(dict.fromkeys(each)) for each in zip(*missing))
        raise FedpkgContainerError(
            "packages that only make check-stock needs are not installed",
            solution=f"apt-get install -y --no-install-recommends {debian}; or: dnf install -y {fedora}",
        )
