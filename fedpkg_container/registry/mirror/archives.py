"""Images as docker-archives, for mirrors of plain HTTP and FTP.

One for each arch of each build (``archives/fedora/hello/hello-1.0-3.x86_64.docker.tar.gz``), made by skopeo from the
registry once, with a file of its SHA-256 beside it that also says which image it is. What is not whole yet lies aside.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fedpkg_container.errors import RegistryError
from fedpkg_container.model.platforms import Platform, koji_arch, platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import pipeline
from fedpkg_container.registry.digests import file_digest
from fedpkg_container.registry.mirror.options import Summary
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import ARCHIVES, FILE_MODE, Tree, make_folders, publish, sync
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.referrers import list_tag
from fedpkg_container.registry.skopeo import Access
from fedpkg_container.registry.workers import Crew

#: What the files are called.
SUFFIX, CHECKSUM = ".docker.tar.gz", ".sha256"
#: Tags of builds: version and release. Those that move have no dash.
_BUILD = re.compile(r"[^-].*-[^-]+")
#: What comes into a name of what an image says of its variant; anything else counts as nothing.
_VARIANT = re.compile(r"[a-z0-9_.]{1,32}")
#: The longest name of an archive, bytes: with what is put after it meanwhile it must be the name of a file.
_LONGEST_NAME = 200
#: The longest configuration that is read, bytes.
_LONGEST_CONFIGURATION = 4 * 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """An archive that there should be.

    :param path: below the tree
    :param image: by digest
    :param tag: of the build, by which podman knows it after loading it
    """

    path: Path
    image: ImageReference
    tag: str


@dataclass(frozen=True)
class Kept:
    """What there should be.

    :param paths: of archives, below the tree
    :param in_doubt: repositories of which it could not be told for all images
    """

    paths: frozenset[Path]
    in_doubt: frozenset[str]


@dataclass(frozen=True)
class Archives:
    """The archives of a tree.

    :param registry: under which name it is asked, host and port
    :param name: under which name clients know it
    :param aside: a folder on the same file system
    :param state: the manifests that are known
    """

    tree: Tree
    registry: str
    name: str
    access: Access
    aside: Path
    state: State

    def bring(
        self,
        tags: Mapping[str, Mapping[str, str]],
        there: Collection[Path],
        crew: Crew,
        progress: Progress,
        summary: Summary,
    ) -> Kept:
        """Make the archives that are not there; what there should be.

        :param tags: repository → tag → digest
        :param there: the archives that are there, below the tree, without those that are wrong
        :raises OSError: nothing can be written any more
        """
        wanted: dict[Path, Archive] = {}
        in_doubt: set[str] = set()
        for repository, tag, images in self._builds(tags):
            archives, reasons = self._archives(repository, tag, images)
            for archive in archives:
                wanted.setdefault(archive.path, archive)
            for reason in reasons:
                in_doubt.add(repository)
                summary.fail(reason)
        left = [each for each in wanted.values() if each.path not in there or not self._is_there(each)]
        progress.began("archives", len(left))
        for outcome in crew.each([] if summary.dry_run else left, self._make):
            progress.advanced()
            if isinstance(outcome.error, OSError):
                raise outcome.error
            if outcome.error is not None:
                summary.fail(f"{outcome.job.path}: {outcome.error.reason}")
        summary.archives = sum(summary.dry_run or self._is_there(each) for each in left)
        return Kept(frozenset(wanted), frozenset(in_doubt))

    def _builds(self, tags: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str, list[str]]]:
        """Repository and tag of each build, and the digests of its images."""
        for repository in sorted(tags):
            for tag, digest in sorted(tags[repository].items()):
                if _BUILD.fullmatch(tag) and not list_tag(tag):
                    members = self.state.images[digest].members or (digest,)
                    yield repository, tag, [member for member in members if self.state.images[member].runs]

    def _archives(self, repository: str, tag: str, images: Iterable[str]) -> tuple[list[Archive], list[str]]:
        """The archives of a build, and why there are no more of them; of images for one platform the first has one."""
        platforms: dict[Platform, str] = {}
        archives, reasons = list[Archive](), list[str]()
        for digest in images:
            try:
                platforms.setdefault(self._platform(repository, self.state.images[digest].blobs[0].digest), digest)
            except RegistryError as error:
                reasons.append(error.reason)
        for arch, platform in _names(platforms, all_known=not reasons).items():
            name = f"{repository.rpartition('/')[2]}-{tag}.{arch}{SUFFIX}"
            if len(name) > _LONGEST_NAME:
                reasons.append(f"{repository}:{tag} is too long for the name of a file")
                continue
            image = ImageReference(self.name, repository, digest=platforms[platform])
            archives.append(Archive(Path(ARCHIVES, repository, name), image, tag))
        return archives, reasons

    def _platform(self, repository: str, configuration: str) -> Platform:
        """What an image runs on.

        :raises RegistryError: its configuration is not in the tree, or says nothing that can be a name
        """
        path = self.tree.path(repository, configuration)
        try:
            with path.open("rb") as file:
                found = json.loads(file.read(_LONGEST_CONFIGURATION))
            variant = str(found.get("variant") or "")
            platform = Platform(str(found["architecture"]), variant if _VARIANT.fullmatch(variant) else "")
            koji_arch(platform.architecture)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RegistryError(f"{repository}@{configuration} says nothing of an arch, or is not there") from error
        return platform

    def _is_there(self, archive: Archive) -> bool:
        """Whether an archive is there, and of this image."""
        path = self.tree.folder / archive.path
        try:
            return path.exists() and _beside(path).read_text().startswith(f"# {archive.image}\n")
        except (OSError, UnicodeDecodeError):
            return False

    def _make(self, archive: Archive) -> None:
        """Make an archive; it appears whole, its checksum after it.

        :raises FedpkgContainerError: skopeo cannot make it
        :raises OSError: it cannot be written
        """
        path = self.tree.folder / archive.path
        made = self.aside / f"{archive.path.name}.{threading.get_ident()}"
        source = replace(archive.image, registry=self.registry)
        name = ImageReference(self.name, archive.image.repository, tag=archive.tag)
        copy = ["skopeo", "copy", "--quiet", *self.access.options("src-"), f"docker://{source}"]
        packer = ["igzip" if shutil.which("igzip") else "gzip", "-n", "-1"]
        try:
            with pipeline([*copy, f"docker-archive:/dev/stdout:{name}"], packer, output=made) as wait:
                wait(self.access.timeout)
            made.chmod(FILE_MODE)
            sync(made)
            checksum = file_digest(made).partition(":")[2]
            make_folders(path.parent, self.tree.folder)
            _beside(path).unlink(missing_ok=True)
            made.replace(path)
            # What ``checksum`` reads.
            publish(f"# {archive.image}\n{checksum}  {path.name}\n", _beside(path), self.aside)
        finally:
            made.unlink(missing_ok=True)

    def contents(self) -> set[Path]:
        """The archives that are there, below the tree."""
        found = self.tree.folder.glob(f"{ARCHIVES}/**/*{SUFFIX}")
        return {path.relative_to(self.tree.folder) for path in found if path.is_file()}

    def checksum(self, path: Path) -> str:
        """The SHA-256 that an archive should have by the file beside it; empty where that says none.

        :param path: below the tree
        """
        try:
            said = _beside(self.tree.folder / path).read_text()
        except (OSError, UnicodeDecodeError):
            return ""
        found = re.fullmatch(rf"# .*\n(?P<checksum>[0-9a-f]{{64}})  {re.escape(path.name)}\n", said)
        return found["checksum"] if found else ""

    def remove(self, path: Path) -> None:
        """Remove an archive, and its checksum."""
        whole = self.tree.folder / path
        _beside(whole).unlink(missing_ok=True)
        whole.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + CHECKSUM)


def _names(platforms: Iterable[Platform], *, all_known: bool) -> dict[str, Platform]:
    """The names of arches for the images of one list: Koji's, and with the variant where another image has that.

    Koji's own name is for the image that names no variant, else for that of the variant which Koji means, else for
    the first.

    :param all_known: whether there are no others; else those are left out whose names others may change
    """

    def is_plain(platform: Platform) -> bool:
        return not platform.variant or platform_of(koji_arch(platform.architecture, platform.variant)) == platform

    named: dict[str, Platform] = {}
    for platform in sorted(platforms, key=lambda each: (bool(each.variant), not is_plain(each))):
        arch = koji_arch(platform.architecture, platform.variant)
        if all_known or is_plain(platform):
            named.setdefault(f"{arch}-{platform.variant}" if platform.variant and arch in named else arch, platform)
    return named
