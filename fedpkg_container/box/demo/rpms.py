"""RPMs made on the spot, with rpmbuild, from files of this machine."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.process import run

#: Folders of this machine that are links into /usr on a merged system.
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
    """What goes into an RPM.

    :param copies: files of this machine, which keep their place
    :param contents: paths → text; ending in ``/`` an empty folder
    :param links: paths → what they lead to
    """

    name: str
    summary: str
    version: str = "1.0"
    release: str = "1"
    copies: frozenset[Path] = frozenset()
    contents: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()

    def build(self, folder: Path) -> Path:
        """Build it; the path of the RPM.

        :param folder: where rpmbuild works, and where RPMs are gathered
        """
        tree = folder / "trees" / self.name
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        self._fill(tree)
        archive = folder / f"{self.name}.tar"
        with tarfile.open(archive, "w") as tar:
            for path in sorted(tree.iterdir()):
                tar.add(path, path.name)
        spec = folder / f"{self.name}.spec"
        spec.write_text(
            _SPEC.format(
                topdir=folder / "rpmbuild",
                name=self.name,
                version=self.version,
                release=self.release,
                summary=self.summary,
                archive=archive,
                requires="\n".join(f"Requires: {name}" for name in self.requires),
                files="\n".join(_listed(tree)),
            )
        )
        topdir = ["--define", f"_topdir {folder}/rpmbuild"]  # in the spec it would come too late for the build root
        run(["rpmbuild", "-bb", "--quiet", *topdir, spec], timeout=TIMEOUT)
        built = next((folder / "rpmbuild" / "RPMS").rglob(f"{self.name}-{self.version}-{self.release}.*.rpm"))
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
    """Copy a file, and when it is a link, the link and what it leads to."""
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
    """Lines of %files: every file and link, and the folders that hold nothing."""
    for folder, names, files in os.walk(tree):
        path = Path(folder)
        for name in [*files, *(each for each in names if (path / each).is_symlink())]:
            yield f'"/{(path / name).relative_to(tree)}"'
        if not names and not files:
            yield f'%dir "/{path.relative_to(tree)}"'
