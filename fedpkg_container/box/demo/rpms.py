# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMs of the demonstration, made of programs of this machine."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import run

#: Directories that are links into /usr on a merged system.
_MERGED = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
TIMEOUT = 600.0

_SPEC = """\
%define debug_package %{{nil}}
%define _build_id_links none
%define __os_install_post %{{nil}}
%define _buildshell /bin/bash
%define _binary_payload w1.gzdio
%define _rpmformat 4
%define _topdir {topdir}
Name: {name}
Version: {version}
Release: {release}
Summary: {summary}
License: GPL-2.0-or-later
AutoReqProv: no
{requires}
%description
{summary}.
%install
mkdir -p %{{buildroot}}
tar -xf '{archive}' -C %{{buildroot}}
%files
{files}
"""


@dataclass(frozen=True)
class Package:
    """Contents of an RPM.

    :param copies: files of this machine, at the same paths
    :param contents: paths → text; ending in ``/`` an empty directory
    :param links: paths → targets
    """

    name: str
    summary: str
    version: str = "1.0"
    release: str = "1"
    copies: frozenset[Path] = frozenset()
    contents: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()

    def build(self, directory: Path) -> Path:
        """Build it; return the RPM's path.

        :param directory: directory of rpmbuild, and of all RPMs
        """
        tree = directory / "trees" / self.name
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        self._fill(tree)
        archive = directory / f"{self.name}.tar"
        with tarfile.open(archive, "w") as tar:
            for path in sorted(tree.iterdir()):
                tar.add(path, path.name)
        spec = directory / f"{self.name}.spec"
        spec.write_text(
            _SPEC.format(
                topdir=directory / "rpmbuild",
                name=self.name,
                version=self.version,
                release=self.release,
                summary=self.summary,
                archive=archive,
                requires="\n".join(f"Requires: {name}" for name in self.requires),
                files="\n".join(_listed(tree)),
            )
        )
        topdir = ["--define", f"_topdir {directory}/rpmbuild"]  # in the spec it would be too late for the build root
        run(["rpmbuild", "-bb", "--quiet", *topdir, spec], timeout=TIMEOUT)
        built = next((directory / "rpmbuild" / "RPMS").rglob(f"{self.name}-{self.version}-{self.release}.*.rpm"))
        shutil.rmtree(tree)
        archive.unlink()
        return built

    def _fill(self, tree: Path) -> None:
        for source in sorted(self.copies):
            _copy(source, tree)
        for name, text in self.contents.items():
            path = tree / name.lstrip("/")
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if text.startswith("#!") else 0o644)
        for name, target in self.links.items():
            path = tree / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)


def _merged(path: Path) -> Path:
    """A path on a merged system: /lib/x is /usr/lib/x."""
    parts = path.parts
    return Path("/usr", *parts[1:]) if len(parts) > 1 and parts[1] in _MERGED else path


def _copy(source: Path, tree: Path) -> None:
    """Copy a file; for a link, both the link and its target."""
    target = tree / _merged(source).relative_to("/")
    if target.exists() or target.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        destination = Path(os.path.realpath(source))
        target.symlink_to(os.path.relpath(_merged(destination), _merged(source).parent))
        _copy(destination, tree)
    else:
        shutil.copy2(source, target)


def _listed(tree: Path) -> Iterable[str]:
    """Lines of %files: every file and link, and empty directories."""
    for directory, names, files in os.walk(tree):
        path = Path(directory)
        for name in [*files, *(each for each in names if (path / each).is_symlink())]:
            yield f'"/{(path / name).relative_to(tree)}"'
        if not names and not files:
            yield f'%dir "/{path.relative_to(tree)}"'


_LIBRARY = re.compile(r"(?:=>\s+)?(/\S+)\s+\(0x")


def program(name: str) -> Path:
    """Path of a program.

    :raises FedpkgContainerError: it is not installed
    """
    path = shutil.which(name)
    if path is None:
        raise FedpkgContainerError(f"program not found: {name}", solution=f"install {name}")
    return Path(path)


def libraries(files: Iterable[Path]) -> set[Path]:
    """Shared libraries that programs and libraries are linked with, as resolved by the loader."""
    paths: set[Path] = set()
    for path in files:
        listed = run(["ldd", path], timeout=60, check=False).text
        paths.update(Path(match) for match in _LIBRARY.findall(listed))
    return paths


def below(directory: Path) -> set[Path]:
    """Files in a directory, recursively."""
    return {path for path in directory.rglob("*") if path.is_file()}


def is_dnf5() -> bool:
    """Whether the system's ``dnf`` is dnf 5, which is not a Python program; true since Fedora 41."""
    return program("dnf").resolve().name == "dnf5"


def system_python() -> Path:
    """Interpreter of the system's dnf 4."""
    first = program("dnf").resolve().read_text(errors="replace").splitlines()[0]
    return Path(first.removeprefix("#!").split()[0])


#: Parts of Python's library that are only for development.
_LEFT_OUT = frozenset(
    "test tests idlelib lib2to3 tkinter turtledemo ensurepip pydoc_data site-packages dist-packages __pycache__".split()
)


def python_files() -> set[Path]:
    """Modules of the system Python."""
    script = "import os; print(os.path.dirname(os.__file__))"
    root = Path(run([system_python(), "-c", script], timeout=60).text.strip())
    return {path for path in root.rglob("*") if path.is_file() and not _left_out(path.relative_to(root))}


def _left_out(path: Path) -> bool:
    return bool(_LEFT_OUT & set(path.parts)) or path.suffix == ".a" or path.parts[0].startswith("config-")


def modules(*names: str) -> set[Path]:
    """Files of modules of the system's Python."""
    script = "import importlib.util as u, sys\nfor n in sys.argv[1:]: print(u.find_spec(n).origin)"
    origins = run([system_python(), "-c", script, *names], timeout=60).text.split()
    paths: set[Path] = set()
    for origin in map(Path, origins):
        if origin.name == "__init__.py":
            paths.update(
                path for path in origin.parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts
            )
        else:
            paths.add(origin)
    return paths
