# SPDX-License-Identifier: GPL-2.0-or-later
"""Yum repositories that RUN can use without leaving traces in a layer, from Koji's topdir and from .repo files."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fedpkg_container import __version__
from fedpkg_container.distgit.dockerfile import SCRATCH, Dockerfile
from fedpkg_container.engines.base_image import BaseImage
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import Mount
from fedpkg_container.files import write_atomically
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.resolve.repo_files import parse_repo_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalizedRepoFile:
    """A .repo file whose repositories point to local directories where possible.

    :param text: contents, for RUN
    :param directories: local directories, by the name that ``text`` uses
    :param complete: whether all its repositories are local, so that no network is needed
    """

    text: str
    directories: dict[str, Path] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True)
class KojiTopdir:
    """Koji's topdir.

    :param path: where it is mounted on this machine
    :param url: URL of the same directory (``topurl``); empty if unknown
    """

    path: Path
    url: str = ""

    def localize(self, name: str, text: str, arch: str) -> LocalizedRepoFile:
        """Point the repositories of a .repo file that are below ``url`` to the same directories below ``path``.

        :param name: name of the file; names of directories start with it
        :param arch: Koji's name of the architecture
        """
        parser = parse_repo_file(text)
        directories: dict[str, Path] = {}
        for number, section in enumerate(parser.sections()):
            path = self._local(parser[section].get("baseurl", ""), arch)
            if path is not None:
                directory = f"{name}-{number}"
                _log.info("repository [%s] of %s is used from %s", section, name, path)
                directories[directory] = path
                parser[section]["baseurl"] = repository_url(directory, path)
                for key in ("mirrorlist", "metalink"):
                    parser.remove_option(section, key)
        output = io.StringIO()
        parser.write(output, space_around_delimiters=False)
        return LocalizedRepoFile(output.getvalue(), directories, complete=len(directories) == len(parser.sections()))

    def _local(self, url: str, arch: str) -> Path | None:
        """Return the local directory of a repository URL; None if it is not below the topdir."""
        url, top = url.strip().replace("$basearch", arch).replace("$arch", arch), self.url.rstrip("/")
        if not top or not url.startswith(f"{top}/"):
            return None
        try:
            path = (self.path / urllib.parse.unquote(url[len(top) + 1 :])).resolve(strict=True)
        except (OSError, ValueError):
            return None
        within = path.is_relative_to(self.path.resolve())
        return path if within and (path / "repodata" / "repomd.xml").is_file() else None


#: Directory of .repo files in images.
REPOSITORY_DIRECTORY = "etc/yum.repos.d"
#: Package managers and their metadata caches.
PACKAGE_MANAGER_CACHES = {
    "usr/bin/dnf-3": "var/cache/dnf",
    "usr/bin/dnf5": "var/cache/libdnf5",
    "usr/bin/microdnf": "var/cache/yum",
}
#: Link to the topdir in repositories that Koji generates: package URLs go through it (kojihub.repo_init of koji 1.34
#: to 1.36).
TOPLINK = "toplink"
#: Directories of packages in the topdir: the default volume's, and the parent of all other volumes'.
_PACKAGES, _VOLUMES = "packages", "vol"


def local_repo_file(name: str, directory: Path) -> str:
    """Return a .repo file for a local repository, as RUN sees it."""
    return (
        f"[{name}]\nname=repository of the {name.replace('-', ' ')}\n"
        f"baseurl={repository_url(name, directory)}\nenabled=1\ngpgcheck=0\n"
    )


def repository_url(name: str, directory: Path) -> str:
    """Return the URL of a local repository, as RUN sees it.

    :param name: its name in ``RepositoryMounts.mounts``
    """
    return f"file:///{REPOSITORY_DIRECTORY}/{Path(name) / _path_below_topdir(directory)[1]}"


@dataclass(frozen=True)
class _BaseProperties:
    """Properties of a base image: whether it has ``REPOSITORY_DIRECTORY``, and caches of its package managers."""

    repositories: bool
    caches: tuple[str, ...]


@dataclass(frozen=True)
class RepositoryMounts:
    """Mounts repositories over a directory of the base image, so that nothing of them stays in a layer.

    :param build_dir: directory for files of this build
    """

    engine: Buildah
    build_dir: Path
    log: BuildLog

    def mounts(
        self,
        bases: Mapping[str, str],
        dockerfile: Dockerfile,
        *,
        directories: Mapping[str, Path],
        files: Mapping[str, str],
    ) -> list[Mount]:
        """Return the mounts for all repositories.

        :param bases: reference as written in FROM → image ID
        :param directories: local repositories, by name
        :param files: contents of .repo files, by name, including those of ``directories``
        """
        if not files:
            return []
        properties = {base: self._base_properties(bases.get(base, "")) for base in _run_bases(dockerfile)}
        has_directory = {base: base_properties.repositories for base, base_properties in properties.items()}
        if not any(has_directory.values()):
            if has_directory:
                self.log.report(f"no repositories for RUN: no base image has /{REPOSITORY_DIRECTORY}")
            return []
        if not has_directory.get(dockerfile.base, True):
            self.log.report(
                f"{dockerfile.base or SCRATCH} has no /{REPOSITORY_DIRECTORY}: the image will contain an empty one"
            )
        directory = self.build_dir / "repositories"
        directory.mkdir()
        repository_mounts = []
        for name, repository in directories.items():
            for path, source in _visible_directories(repository).items():
                (directory / name / path).mkdir(parents=True)
                repository_mounts.append(Mount(source, f"/{REPOSITORY_DIRECTORY}/{Path(name) / path}"))
        for name, text in files.items():
            (directory / f"{name}.repo").write_text(text)
        caches = sorted({name for base_properties in properties.values() for name in base_properties.caches})
        return [Mount(directory, f"/{REPOSITORY_DIRECTORY}"), *repository_mounts, *map(self._cache_mount, caches)]

    def _cache_mount(self, path: str) -> Mount:
        """Return a mount of an empty directory over a cache, shared by all RUN steps of the build.

        The metadata of a repository differs with every download, so it must not get into a layer.
        """
        cache = self.engine.workspace.new(f"cache-{path.rpartition('/')[2]}")
        return Mount(cache, f"/{path}", writable=True)

    def _base_properties(self, image_id: str) -> _BaseProperties:
        """Return the properties of a base image, cached for all builds by the digest of its manifest.

        They are read from the store of the base image: a worker of this build could have put another image with the
        same ID into the store of the build.
        """
        used = self.engine.bases.used.values()
        base = next((image for image in used if image.image_id == image_id.removeprefix("sha256:")), None)
        if base is None:
            return _BaseProperties(repositories=False, caches=())
        digest = base.manifest.digest.partition(":")[2]
        cache = self.engine.workspaces.shared / "looks" / f"{digest}-{__version__}.json"
        with contextlib.suppress(OSError, ValueError, KeyError):
            content = json.loads(cache.read_text())
            return _BaseProperties(repositories=bool(content["repositories"]), caches=tuple(content["caches"]))
        properties = self._inspect_base(base)
        cache.parent.mkdir(exist_ok=True)
        write_atomically(cache, json.dumps(asdict(properties)))
        return properties

    def _inspect_base(self, base: BaseImage) -> _BaseProperties:
        root = self.engine.files(base.image_id, present=[REPOSITORY_DIRECTORY, *PACKAGE_MANAGER_CACHES], base=base)
        caches = (cache for program, cache in PACKAGE_MANAGER_CACHES.items() if os.path.lexists(root / program))
        return _BaseProperties(repositories=(root / REPOSITORY_DIRECTORY).is_dir(), caches=tuple(caches))


def _run_bases(dockerfile: Dockerfile) -> Iterable[str]:
    """Return the base images of stages with RUN, as written in FROM; empty for ``scratch``."""
    stages = {instruction.stage for instruction in dockerfile.instructions if instruction.name == "RUN"}
    return dict.fromkeys(dockerfile.base_of(number) for number in sorted(stages) if number >= 0)


def _path_below_topdir(repository: Path) -> tuple[Path | None, Path]:
    """Return Koji's topdir, and the path below it at which RUN sees a repository.

    For a repository that contains its packages: None and an empty path. The path is as deep as the real one, so that
    ``toplink`` leads to the mounted topdir. Its names are constant, so that the number of the repository does not get
    into an image.
    """
    link = repository / TOPLINK
    if not link.is_symlink():
        return None, Path()
    topdir = Path(os.path.normpath(repository / link.readlink()))
    return topdir, Path(*["repository"] * len(repository.relative_to(topdir).parts))


def _visible_directories(repository: Path) -> dict[Path, Path]:
    """Return the directories of a repository that RUN sees, by their paths there.

    A repository generated by Koji has no packages: RUN sees the directories of the topdir that its ``toplink`` leads
    to. A volume may be a link to another disk of the site.
    """
    topdir, path = _path_below_topdir(repository)
    if topdir is None:
        return {path: repository}
    volumes = sorted((topdir / _VOLUMES).iterdir()) if (topdir / _VOLUMES).is_dir() else []
    directories = [directory for directory in (topdir / _PACKAGES, *volumes) if directory.is_dir()]
    return {path: repository, **{directory.relative_to(topdir): directory.resolve() for directory in directories}}
