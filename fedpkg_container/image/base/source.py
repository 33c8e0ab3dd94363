# SPDX-License-Identifier: GPL-2.0-or-later
"""The source of a base image, in a registry or an archive, and its image for each architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fedpkg_container.engines.archives import ImageDirectory, unpack
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import NoSuchImageError, RefusedError, UsageError
from fedpkg_container.model.limits import DEFAULT_LIMITS, RAISE_LIMIT, ImageLimits
from fedpkg_container.model.platforms import koji_arch
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.manifests import CONFIG_MEDIA_TYPES, Descriptor, ImageConfiguration, Manifest
from fedpkg_container.registry.skopeo import Access, Registry

#: Limit of images in an index.
MAX_ARCHES = 64


class ImageStore(Protocol):
    """A source of manifests and configurations: a repository, or a directory."""

    def manifest(self, name: str) -> Manifest:
        """Return a manifest by digest."""

    def blob(self, blob: Descriptor) -> bytes:
        """Return a small blob."""


@dataclass(frozen=True)
class ArchImage:
    """The image of one architecture.

    :param arch: Koji's name of the architecture
    :param platform: from the index, or else from the configuration
    :param image_id: digest of the configuration
    """

    arch: str
    platform: Mapping[str, str]
    image_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class BaseSource:
    """The source of a base image.

    :param display_name: name for messages, with the digest if it is in a registry
    :param transport: source for skopeo, e.g. ``docker://…``
    :param options: skopeo options for reading it
    :param reference: the image by digest; None if it is in a file
    :param digest: of the index or single image; empty if its digest changes when it is pushed
    """

    display_name: str
    transport: str
    arch_images: tuple[ArchImage, ...]
    options: tuple[str, ...] = ()
    reference: ImageReference | None = None
    digest: str = ""

    @property
    def image_ids(self) -> dict[str, str]:
        """Koji's name of each architecture → image ID."""
        return _ids(self.arch_images)

    def is_same(self, name: str, images: ImageStore) -> bool:
        """Return whether another name refers to the same images, even with differently compressed layers."""
        try:
            return _ids(_arch_images(images.manifest(name), images, name)) == self.image_ids
        except RefusedError:
            return False

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the first image."""
        return self.arch_images[0].labels


def _ids(arch_images: Iterable[ArchImage]) -> dict[str, str]:
    return {arch_image.arch: arch_image.image_id for arch_image in arch_images}


def open_base_source(
    name: str, workspace: Workspace, access: Callable[[str], Access], limits: ImageLimits = DEFAULT_LIMITS
) -> BaseSource:
    """Resolve a reference or path to an image; a tag is resolved only once.

    :param workspace: of the worker that reads an archive
    :param access: returns the access to a registry
    :param limits: of what is read
    :raises UsageError: if the name is neither an image reference nor an archive
    :raises RegistryError: if the image does not exist, or its registry is unavailable
    :raises RefusedError: if it is not a base image
    """
    path = Path(name)
    if path.exists():
        return _open_file(path.resolve(), workspace, limits)
    if name.startswith(("/", "./", "../")) or path.suffix in (".tar", ".gz"):
        raise UsageError(f"{name}: no such file")
    image = ImageReference.parse(name.removeprefix("docker://"))
    if not image.registry:
        raise UsageError(f"{name} names no registry", solution="write registry/repository:tag, or the path of a file")
    return _open_registry(image, access(image.registry), limits)


def _open_registry(image: ImageReference, access: Access, limits: ImageLimits) -> BaseSource:
    with Registry(access).repository(image) as repository:
        try:
            top = repository.manifest(image.digest or image.tag or "latest")
        except NoSuchImageError as error:
            raise NoSuchImageError(
                f"{image} does not exist", solution="check the name, and the tag or digest"
            ) from error
        members = _arch_images(top, repository, str(image), limits)
    pinned = image.at(top.digest)
    return BaseSource(
        str(pinned), f"docker://{pinned}", members, tuple(access.options("src-")), reference=pinned, digest=top.digest
    )


def _open_file(path: Path, workspace: Workspace, limits: ImageLimits) -> BaseSource:
    unpacked: ImageDirectory = unpack(path, workspace, limits)
    top = unpacked.manifest()
    members = _arch_images(top, unpacked, path.name, limits)
    digest = top.digest if unpacked.keeps_digests else ""
    return BaseSource(f"{unpacked.kind}:{path.name}", f"dir:{unpacked.path}", members, digest=digest)


def _arch_images(
    top: Manifest, images: ImageStore, display_name: str, limits: ImageLimits = DEFAULT_LIMITS
) -> tuple[ArchImage, ...]:
    """Return the images for Linux in an index, or the single image; other entries (attestations) are ignored."""
    if top.is_index:
        linux_entries = [entry for entry in top.manifests if _is_for_linux(entry.fields.get("platform"))]
        if len(linux_entries) > MAX_ARCHES:
            raise RefusedError(f"{display_name} has more than {MAX_ARCHES} images")
        manifests = [(images.manifest(entry.digest), entry.fields.get("platform")) for entry in linux_entries]
    else:
        manifests = [(top, None)]
    size = sum({blob.digest: blob.size for manifest, _ in manifests for blob in manifest.blobs}.values())
    if size > limits.size:
        raise RefusedError(
            f"{display_name} has {size // 10**6} MB; the limit is {limits.size // 10**6} MB", solution=RAISE_LIMIT
        )
    arch_images = [_arch_image(manifest, images, platform, display_name) for manifest, platform in manifests]
    arches = [arch_image.arch for arch_image in arch_images]
    duplicates = sorted({arch for arch in arches if arches.count(arch) > 1})
    if duplicates:
        raise RefusedError(
            f"{display_name} has more than one image for {duplicates[0]}",
            solution="import an image index with one image per architecture",
        )
    if not arch_images:
        raise RefusedError(f"{display_name} has no image for Linux", solution="name another image")
    return tuple(arch_images)


def _is_for_linux(entry_platform: object) -> bool:
    return not isinstance(entry_platform, Mapping) or entry_platform.get("os", "linux") == "linux"


def _platform(entry_platform: Mapping[str, object], where: str) -> dict[str, str]:
    """Return the platform of an index entry.

    :raises RefusedError: if it has values other than strings
    """
    values = {key: entry_platform[key] for key in ("architecture", "os", "variant") if entry_platform.get(key)}
    platform = {key: value for key, value in values.items() if isinstance(value, str)}
    if platform != values:
        raise RefusedError(f"{where}: the platform in the image index has values other than strings")
    return platform


def _arch_image(manifest: Manifest, images: ImageStore, entry_platform: object, display_name: str) -> ArchImage:
    if manifest.is_index or not manifest.blobs or manifest.blobs[0].media_type not in CONFIG_MEDIA_TYPES:
        raise RefusedError(
            f"{display_name}: {manifest.digest} is not an image", solution="import an image, or an image index"
        )
    raw = images.blob(manifest.blobs[0])
    configuration = ImageConfiguration.read(raw, where=f"{display_name}: {manifest.digest}")
    platform = (
        _platform(entry_platform, f"{display_name}: {manifest.digest}")
        if isinstance(entry_platform, Mapping)
        else configuration.platform
    )
    if not configuration.platform.get("architecture") or configuration.platform.get("os", "linux") != "linux":
        raise RefusedError(
            f"{display_name}: {manifest.digest} has no architecture, or is not for Linux", solution="name another image"
        )
    try:
        arch = koji_arch(platform.get("architecture", ""), platform.get("variant", ""))
    except ValueError as error:
        raise RefusedError(f"{display_name}: {manifest.digest}: {error}") from error
    return ArchImage(arch, platform, manifest.blobs[0].digest, configuration.labels)
