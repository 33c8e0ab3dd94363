# SPDX-License-Identifier: GPL-2.0-or-later
"""Export of images as archives, for plain HTTP and FTP mirrors.

There is one per architecture of each build (``archives/fedora/hello/hello-1.0-3.x86_64.docker.tar.gz``), written by
skopeo: a docker-archive, or an OCI archive (``.oci.tar``) of an image that a docker-archive cannot hold. A file next to
it contains its SHA-256 and the image's digest. Incomplete files are kept in the staging directory.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fedpkg_container.errors import RegistryError
from fedpkg_container.model.platforms import Platform, koji_arch, platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import pipeline, run
from fedpkg_container.process.gzip import gzip_command
from fedpkg_container.registry.digests import file_digest
from fedpkg_container.registry.mirror.options import Summary
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import ARCHIVES, FILE_MODE, Tree, make_directories, publish, sync
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.referrers import is_derived_tag
from fedpkg_container.registry.skopeo import Access
from fedpkg_container.registry.workers import WorkerPool

#: File name suffixes.
SUFFIX, OCI_SUFFIX, CHECKSUM = ".docker.tar.gz", ".oci.tar", ".sha256"
#: Architecture of attestations, which are not images although their manifests look like those of images.
_NO_ARCHITECTURE = "unknown"
#: Tags of builds, version and release; floating tags contain no dash.
_BUILD_TAG = re.compile(r"[^-].*-[^-]+")
#: Variants that can be part of a file name; any other counts as none.
_VARIANT = re.compile(r"[a-z0-9_.]{1,32}")
#: Maximum length of an archive's name, bytes: temporary suffixes must fit into a file name too.
_LONGEST_NAME = 200
#: Maximum length of an image configuration, bytes.
_MAX_CONFIG_SIZE = 4 * 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """An archive that the tree should contain.

    :param path: relative to the tree
    :param image: by digest
    :param tag: tag of the build, which ``podman load`` restores
    """

    path: Path
    image: ImageReference
    tag: str


@dataclass(frozen=True)
class WantedArchives:
    """The archives that the tree should contain.

    :param paths: relative to the tree
    :param in_doubt: repositories for which the list is incomplete
    """

    paths: frozenset[Path]
    in_doubt: frozenset[str]


@dataclass(frozen=True)
class Archives:
    """The archives of a tree.

    :param registry: host and port to fetch from
    :param name: host and port in the names of images, as clients know them
    :param staging_dir: directory on the same file system
    :param state: known manifests
    """

    tree: Tree
    registry: str
    name: str
    access: Access
    staging_dir: Path
    state: State

    def create_missing(
        self,
        tags: Mapping[str, Mapping[str, str]],
        existing: Collection[Path],
        pool: WorkerPool,
        progress: Progress,
        summary: Summary,
    ) -> WantedArchives:
        """Create the missing archives; return the list of all wanted ones.

        :param tags: repository → tag → digest
        :param existing: valid archives in the tree, as relative paths
        :raises OSError: if files cannot be written
        """
        wanted: dict[Path, Archive] = {}
        in_doubt: set[str] = set()
        for repository, tag, images in self._builds(tags):
            if not images:
                summary.note(f"{repository}:{tag} is not an image; it has no archive")
            archives, reasons = self._archives(repository, tag, images, summary)
            for archive in archives:
                wanted.setdefault(archive.path, archive)
            for reason in reasons:
                in_doubt.add(repository)
                summary.fail(reason)
        missing = [item for item in wanted.values() if item.path not in existing or not self._is_current(item)]
        progress.began("archives", len(missing))
        for outcome in pool.as_completed([] if summary.dry_run else missing, self._create):
            progress.advanced()
            if isinstance(outcome.error, OSError):
                raise outcome.error
            if outcome.error is not None:
                summary.fail(f"{outcome.job.path}: {outcome.error.reason}")
        summary.archives = sum(summary.dry_run or self._is_current(item) for item in missing)
        return WantedArchives(frozenset(wanted), frozenset(in_doubt))

    def _builds(self, tags: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str, list[str]]]:
        """Yield repository, tag and image digests of each build."""
        for repository in sorted(tags):
            for tag, digest in sorted(tags[repository].items()):
                if _BUILD_TAG.fullmatch(tag) and not is_derived_tag(tag):
                    yield repository, tag, list(dict.fromkeys(self._images(digest)))

    def _images(self, digest: str) -> Iterator[str]:
        """Yield the digests of the images in an index and those that it contains, or that of an image itself."""
        image = self.state.images[digest]
        for member in image.members:
            yield from self._images(member)
        if image.is_image:
            yield digest

    def _archives(
        self, repository: str, tag: str, images: Iterable[str], summary: Summary
    ) -> tuple[list[Archive], list[str]]:
        """Return the archives of a build, the first image for each platform, and the reasons for missing ones."""
        platforms: dict[Platform, str] = {}
        archives, reasons = list[Archive](), list[str]()
        for digest in images:
            try:
                platform = self._platform(repository, self.state.images[digest].blobs[0].digest)
            except RegistryError as error:
                reasons.append(error.reason)
                continue
            if platform is None:
                summary.note(f"{repository}@{digest} of {tag} is an attestation; it has no archive")
            else:
                platforms.setdefault(platform, digest)
        for arch, platform in _arch_names(platforms, all_known=not reasons).items():
            suffix = SUFFIX if self.state.images[platforms[platform]].fits_docker else OCI_SUFFIX
            name = f"{repository.rpartition('/')[2]}-{tag}.{arch}{suffix}"
            if len(name) > _LONGEST_NAME:
                reasons.append(f"{repository}:{tag} is too long for a file name")
                continue
            image = ImageReference(self.name, repository, digest=platforms[platform])
            archives.append(Archive(Path(ARCHIVES, repository, name), image, tag))
        return archives, reasons

    def _platform(self, repository: str, configuration: str) -> Platform | None:
        """Return the platform of an image; None of an attestation.

        :raises RegistryError: if its configuration is not in the tree, or has no usable architecture
        """
        path = self.tree.path(repository, configuration)
        try:
            with path.open("rb") as file:
                configuration_json = json.loads(file.read(_MAX_CONFIG_SIZE))
            if configuration_json["architecture"] == _NO_ARCHITECTURE:
                return None
            variant = str(configuration_json.get("variant") or "")
            platform = Platform(str(configuration_json["architecture"]), variant if _VARIANT.fullmatch(variant) else "")
            koji_arch(platform.architecture)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RegistryError(
                f"{repository}@{configuration}: no such configuration, or no architecture in it"
            ) from error
        return platform

    def _is_current(self, archive: Archive) -> bool:
        """Return whether an archive exists and is of this image."""
        path = self.tree.directory / archive.path
        try:
            return path.exists() and _checksum_path(path).read_text().startswith(f"# {archive.image}\n")
        except (OSError, UnicodeDecodeError):
            return False

    def _create(self, archive: Archive) -> None:
        """Create an archive, and then its checksum, each atomically.

        :raises FedpkgContainerError: if skopeo fails
        :raises OSError: if it cannot be written
        """
        path = self.tree.directory / archive.path
        temporary = self.staging_dir / f"{archive.path.name}.{threading.get_ident()}"
        source = replace(archive.image, registry=self.registry)
        name = ImageReference(self.name, archive.image.repository, tag=archive.tag)
        copy = ["skopeo", "copy", "--quiet", *self.access.options("src-"), f"docker://{source}"]
        packer = gzip_command(igzip_level=1, gzip_level=1)
        try:
            if path.name.endswith(OCI_SUFFIX):  # its layers are compressed
                run([*copy, f"oci-archive:{temporary}:{archive.tag}"], timeout=self.access.timeout)
            else:
                with pipeline([*copy, f"docker-archive:/dev/stdout:{name}"], packer, output=temporary) as wait:
                    wait(self.access.timeout)
            temporary.chmod(FILE_MODE)
            sync(temporary)
            checksum = file_digest(temporary).partition(":")[2]
            make_directories(path.parent, self.tree.directory)
            _checksum_path(path).unlink(missing_ok=True)
            temporary.replace(path)
            # In the format that ``checksum`` parses.
            publish(f"# {archive.image}\n{checksum}  {path.name}\n", _checksum_path(path), self.staging_dir)
        finally:
            temporary.unlink(missing_ok=True)

    def contents(self) -> set[Path]:
        """Return the archives in the tree, as relative paths."""
        return {
            path.relative_to(self.tree.directory)
            for suffix in (SUFFIX, OCI_SUFFIX)
            for path in self.tree.directory.glob(f"{ARCHIVES}/**/*{suffix}")
            if path.is_file()
        }

    def checksum(self, path: Path) -> str:
        """Return the SHA-256 in the checksum file of an archive; empty if there is no valid one.

        :param path: relative to the tree
        """
        try:
            text = _checksum_path(self.tree.directory / path).read_text()
        except (OSError, UnicodeDecodeError):
            return ""
        match = re.fullmatch(rf"# .*\n(?P<checksum>[0-9a-f]{{64}})  {re.escape(path.name)}\n", text)
        return match["checksum"] if match else ""

    def remove(self, path: Path) -> None:
        """Remove an archive and its checksum file."""
        archive_path = self.tree.directory / path
        _checksum_path(archive_path).unlink(missing_ok=True)
        archive_path.unlink(missing_ok=True)


def _checksum_path(path: Path) -> Path:
    return path.with_name(path.name + CHECKSUM)


def _arch_names(platforms: Iterable[Platform], *, all_known: bool) -> dict[str, Platform]:
    """Return unique architecture names for the images of an index: Koji's, with the variant if necessary.

    The plain name belongs to the image without variant, else to the variant that Koji's name implies, else to the
    first.

    :param all_known: whether these are all images; otherwise names that depend on the others are left out
    """

    def is_plain(platform: Platform) -> bool:
        return not platform.variant or platform_of(koji_arch(platform.architecture, platform.variant)) == platform

    named: dict[str, Platform] = {}
    for platform in sorted(platforms, key=lambda platform_: (bool(platform_.variant), not is_plain(platform_))):
        arch = koji_arch(platform.architecture, platform.variant)
        if all_known or is_plain(platform):
            named.setdefault(f"{arch}-{platform.variant}" if platform.variant and arch in named else arch, platform)
    return named
