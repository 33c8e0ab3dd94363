"""Yum repositories that RUN sees and no layer keeps, and Koji's topdir, in which they are."""

from __future__ import annotations

import contextlib
import io
import json
import os
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fedpkg_container import __version__
from fedpkg_container.distgit.dockerfile import SCRATCH, Dockerfile
from fedpkg_container.engines.buildah import Buildah, Mount
from fedpkg_container.files import write_atomically
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.resolve.repo_files import parse_repo_file


@dataclass(frozen=True)
class LocalizedRepoFile:
    """A .repo file, pointed at folders of this machine.

    :param text: to be given to RUN
    :param directories: of this machine, by the name under which ``text`` expects them
    :param complete: whether everything in it is on this machine, so that no network is needed
    """

    text: str
    directories: dict[str, Path] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True)
class KojiTopdir:
    """Koji's files.

    :param path: where they are mounted
    :param url: the address of the same; empty where builders know none
    """

    path: Path
    url: str = ""

    def localize(self, name: str, text: str, arch: str) -> LocalizedRepoFile:
        """Point the repositories of a .repo file that Koji itself serves at its topdir.

        :param path: of the file, which names of folders begin with
        :param arch: Koji's name
        """
        parser = parse_repo_file(text)
        directories: dict[str, Path] = {}
        for number, section in enumerate(parser.sections()):
            path = self._local(parser[section].get("baseurl", ""), arch)
            if path is not None:
                directory = f"{name}-{number}"
                directories[directory] = path
                parser[section]["baseurl"] = repository_url(directory, path)
                for key in ("mirrorlist", "metalink"):
                    parser.remove_option(section, key)
        output = io.StringIO()
        parser.write(output, space_around_delimiters=False)
        return LocalizedRepoFile(output.getvalue(), directories, complete=len(directories) == len(parser.sections()))

    def _local(self, url: str, arch: str) -> Path | None:
        """The folder of a repository, when it is below the topdir."""
        url, top = url.strip().replace("$basearch", arch).replace("$arch", arch), self.url.rstrip("/")
        if not top or not url.startswith(f"{top}/"):
            return None
        try:
            path = (self.path / urllib.parse.unquote(url[len(top) + 1 :])).resolve(strict=True)
        except (OSError, ValueError):
            return None
        within = path.is_relative_to(self.path.resolve())
        return path if within and (path / "repodata" / "repomd.xml").is_file() else None


#: Where images look for repositories.
REPOSITORY_DIRECTORY = "etc/yum.repos.d"
#: Package managers, and where they keep what they know of repositories.
PACKAGE_MANAGER_CACHES = {
    "usr/bin/dnf-3": "var/cache/dnf",
    "usr/bin/dnf5": "var/cache/libdnf5",
    "usr/bin/microdnf": "var/cache/yum",
}
#: The link to topdir in a repository that Koji made: its packages are named by a path through that link
#: (kojihub.repo_init of koji 1.34 to 1.36).
TOPLINK = "toplink"
#: Folders of topdir in which packages are: those of the volume that is nobody's choice, and those of each other volume.
_PACKAGES, _VOLUMES = "packages", "vol"


def local_repo_file(name: str, directory: Path) -> str:
    """The .repo file of a repository of this machine, as RUN sees it."""
    return (
        f"[{name}]\nname=repository of the {name.replace('-', ' ')}\n"
        f"baseurl={repository_url(name, directory)}\nenabled=1\ngpgcheck=0\n"
    )


def repository_url(name: str, directory: Path) -> str:
    """Where RUN finds a repository of this machine.

    :param path: under which it is handed to ``RepositoryMounts``
    """
    return f"file:///{REPOSITORY_DIRECTORY}/{Path(name) / _path_below_topdir(directory)[1]}"


@dataclass(frozen=True)
class _BaseProperties:
    """What a base image has: a folder for repositories, and package managers with their caches."""

    repositories: bool
    caches: tuple[str, ...]


@dataclass(frozen=True)
class RepositoryMounts:
    """Puts repositories over the folder where images look for them.

    They are mounted over a folder that the base has, so that nothing of them stays in a layer.

    :param build_dir: for files of this build
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
        """What to mount.

        :param bases: images of FROM as written → image ID
        :param directories: repositories of this machine, by name
        :param files: texts of .repo files, by name; those of ``folders`` included
        """
        if not files:
            return []
        properties = {base: self._base_properties(bases.get(base, "")) for base in _run_bases(dockerfile)}
        has_directory = {base: base_properties.repositories for base, base_properties in properties.items()}
        if not any(has_directory.values()):
            if has_directory:
                self.log.report(f"RUN gets no repositories: no base image has /{REPOSITORY_DIRECTORY}")
            return []
        if not has_directory.get(dockerfile.base, True):
            self.log.report(
                f"{dockerfile.base or SCRATCH} has no /{REPOSITORY_DIRECTORY}: an empty one stays in the image"
            )
        directory = self.build_dir / "repositories"
        directory.mkdir()
        repository_mounts = []
        for name, folder in directories.items():
            for path, source in _visible_directories(folder).items():
                (directory / name / path).mkdir(parents=True)
                repository_mounts.append(Mount(source, f"/{REPOSITORY_DIRECTORY}/{Path(name) / path}"))
        for name, text in files.items():
            (directory / f"{name}.repo").write_text(text)
        caches = sorted({name for base_properties in properties.values() for name in base_properties.caches})
        return [Mount(directory, f"/{REPOSITORY_DIRECTORY}"), *repository_mounts, *map(self._cache_mount, caches)]

    def _cache_mount(self, path: str) -> Mount:
        """An empty folder over a cache.

        What package managers keep of a repository differs with every download: it must not be in a layer, and is there
        for the next RUN of the same build.
        """
        cache = self.engine.workspace.new(f"cache-{path.rpartition('/')[2]}")
        return Mount(cache, f"/{path}", writable=True)

    def _base_properties(self, base: str) -> _BaseProperties:
        """Look into a base image, once for each: an image ID always means the same content."""
        if not base:
            return _BaseProperties(repositories=False, caches=())
        cache = self.engine.workspaces.shared / "looks" / f"{base.removeprefix('sha256:')}-{__version__}.json"
        with contextlib.suppress(OSError, ValueError, KeyError):
            content = json.loads(cache.read_text())
            return _BaseProperties(repositories=bool(content["repositories"]), caches=tuple(content["caches"]))
        properties = self._inspect_base(base)
        cache.parent.mkdir(exist_ok=True)
        write_atomically(cache, json.dumps(asdict(properties)))
        return properties

    def _inspect_base(self, base: str) -> _BaseProperties:
        root = self.engine.files(base, present=[REPOSITORY_DIRECTORY, *PACKAGE_MANAGER_CACHES])
        caches = (cache for program, cache in PACKAGE_MANAGER_CACHES.items() if os.path.lexists(root / program))
        return _BaseProperties(repositories=(root / REPOSITORY_DIRECTORY).is_dir(), caches=tuple(caches))


def _run_bases(dockerfile: Dockerfile) -> Iterable[str]:
    """The images on which a RUN is run, as written; empty for ``scratch``."""
    stages = {each.stage for each in dockerfile.instructions if each.name == "RUN"}
    return dict.fromkeys(dockerfile.base_of(number) for number in sorted(stages) if number >= 0)


def _path_below_topdir(repository: Path) -> tuple[Path | None, Path]:
    """Koji's topdir, and where below it RUN sees a repository; none, and an empty path, for one with packages in it.

    It is as far below as in truth, so that its link leads up to what stands for topdir. Its names are always the same,
    so that nothing of the repository's number gets into an image.
    """
    link = repository / TOPLINK
    if not link.is_symlink():
        return None, Path()
    topdir = Path(os.path.normpath(repository / link.readlink()))
    return topdir, Path(*["repository"] * len(repository.relative_to(topdir).parts))


def _visible_directories(repository: Path) -> dict[Path, Path]:
    """What RUN is given of a repository: folders by their paths there.

    A repository of Koji has no packages in it: RUN sees as much of topdir as makes its link lead to them. A volume may
    be a link to where a site has another disk.
    """
    topdir, path = _path_below_topdir(repository)
    if topdir is None:
        return {path: repository}
    volumes = sorted((topdir / _VOLUMES).iterdir()) if (topdir / _VOLUMES).is_dir() else []
    directories = [each for each in (topdir / _PACKAGES, *volumes) if each.is_dir()]
    return {path: repository, **{each.relative_to(topdir): each.resolve() for each in directories}}
