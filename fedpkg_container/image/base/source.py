"""A base image that somebody names: in a registry, or in a file; which images of which arches it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fedpkg_container.engines.archives import ImageFolder, unpack
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import NoSuchImageError, RefusedError, UsageError
from fedpkg_container.model.limits import DEFAULT_LIMITS, RAISE_LIMIT, ImageLimits
from fedpkg_container.model.platforms import koji_arch
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.manifests import Descriptor, ImageConfiguration, Manifest
from fedpkg_container.registry.skopeo import Access, Registry

#: The most images of a list.
MAX_ARCHES = 64
#: What configurations of images are called; artifacts have others.
_CONFIGURATION_TYPES = ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")


class ImageStore(Protocol):
    """Where manifests and configurations are: a repository, or a folder."""

    def manifest(self, name: str) -> Manifest:
        """A manifest by digest."""

    def blob(self, blob: Descriptor) -> bytes:
        """A small blob."""


@dataclass(frozen=True)
class ArchImage:
    """The image of one arch.

    :param arch: Koji's name
    :param platform: as lists name it
    :param image_id: digest of its configuration
    """

    arch: str
    platform: Mapping[str, str]
    image_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class BaseSource:
    """Where a base image comes from.

    :param display_name: what it is called, with its digest where it is in a registry
    :param transport: as skopeo names it
    :param options: skopeo's, for reading it
    :param reference: the image by digest; None where it is in a file
    :param digest: of its list, or of its one image; empty where a registry gives it another one
    """

    display_name: str
    transport: str
    arch_images: tuple[ArchImage, ...]
    options: tuple[str, ...] = ()
    reference: ImageReference | None = None
    digest: str = ""

    @property
    def image_ids(self) -> dict[str, str]:
        """Koji's name of each arch → image ID."""
        return _ids(self.arch_images)

    def is_same(self, name: str, images: ImageStore) -> bool:
        """Whether it is what is there under another name, however its layers are packed."""
        try:
            return _ids(_arch_images(images.manifest(name), images, name)) == self.image_ids
        except RefusedError:
            return False

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the first of its images."""
        return self.arch_images[0].labels


def _ids(members: Iterable[ArchImage]) -> dict[str, str]:
    return {each.arch: each.image_id for each in members}


def open_base_source(
    name: str, workspace: Workspace, access: Callable[[str], Access], limits: ImageLimits = DEFAULT_LIMITS
) -> BaseSource:
    """Resolve a name to an image; a tag is resolved once.

    :param workspace: of the worker that reads an archive
    :param access: how a registry is reached
    :param limits: of what is read
    :raises UsageError: it is neither an image reference nor an archive
    :raises RegistryError: it is not there, or its registry cannot be reached
    :raises RefusedError: it is no base image
    """
    path = Path(name)
    if path.exists():
        return _open_file(path.resolve(), workspace, limits)
    if name.startswith(("/", "./", "../")) or path.suffix in (".tar", ".gz"):
        raise UsageError(f"there is no file {name}")
    image = ImageReference.parse(name.removeprefix("docker://"))
    if not image.registry:
        raise UsageError(f"{name} does not say which registry", solution="write registry/repository:tag, or a file")
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
    unpacked: ImageFolder = unpack(path, workspace, limits)
    top = unpacked.manifest()
    members = _arch_images(top, unpacked, path.name, limits)
    digest = top.digest if unpacked.keeps_digests else ""
    return BaseSource(f"{unpacked.kind}:{path.name}", f"dir:{unpacked.path}", members, digest=digest)


def _arch_images(
    top: Manifest, images: ImageStore, display_name: str, limits: ImageLimits = DEFAULT_LIMITS
) -> tuple[ArchImage, ...]:
    """The images for Linux of a list, or the one image; what else a list has (attestations) is passed over."""
    if top.is_list:
        linux_entries = [each for each in top.manifests if _is_for_linux(each.facts.get("platform"))]
        if len(linux_entries) > MAX_ARCHES:
            raise RefusedError(f"{display_name} has more than {MAX_ARCHES} images")
        manifests = [(images.manifest(each.digest), each.facts.get("platform")) for each in linux_entries]
    else:
        manifests = [(top, None)]
    size = sum({blob.digest: blob.size for manifest, _ in manifests for blob in manifest.blobs}.values())
    if size > limits.size:
        raise RefusedError(
            f"{display_name} has {size // 10**6} MB, and {limits.size // 10**6} MB are allowed", solution=RAISE_LIMIT
        )
    arch_images = [_arch_image(manifest, images, platform, display_name) for manifest, platform in manifests]
    arches = [each.arch for each in arch_images]
    duplicates = sorted({arch for arch in arches if arches.count(arch) > 1})
    if duplicates:
        raise RefusedError(
            f"{display_name} has more than one image for {duplicates[0]}", solution="import a list with one an arch"
        )
    if not arch_images:
        raise RefusedError(f"{display_name} has no image for Linux")
    return tuple(arch_images)


def _is_for_linux(entry_platform: object) -> bool:
    return not isinstance(entry_platform, Mapping) or entry_platform.get("os", "linux") == "linux"


def _platform(entry_platform: Mapping[str, Any], where: str) -> dict[str, str]:
    """The platform of a member of a list.

    :raises RefusedError: it is not of texts
    """
    platform = {key: entry_platform[key] for key in ("architecture", "os", "variant") if entry_platform.get(key)}
    if not all(isinstance(value, str) for value in platform.values()):
        raise RefusedError(f"{where}: the platform that the list names is not of texts")
    return platform


def _arch_image(manifest: Manifest, images: ImageStore, entry_platform: object, display_name: str) -> ArchImage:
    if manifest.is_list or not manifest.blobs or manifest.blobs[0].media_type not in _CONFIGURATION_TYPES:
        raise RefusedError(
            f"{display_name}: {manifest.digest} is no image", solution="import an image, or a list of images"
        )
    raw = images.blob(manifest.blobs[0])
    configuration = ImageConfiguration.read(raw, where=f"{display_name}: {manifest.digest}")
    platform = (
        _platform(entry_platform, f"{display_name}: {manifest.digest}")
        if isinstance(entry_platform, Mapping)
        else configuration.platform
    )
    if not configuration.platform.get("architecture") or configuration.platform.get("os", "linux") != "linux":
        raise RefusedError(f"{display_name}: {manifest.digest} does not say that it is for Linux, and for which arch")
    try:
        arch = koji_arch(platform.get("architecture", ""), platform.get("variant", ""))
    except ValueError as error:
        raise RefusedError(f"{display_name}: {manifest.digest}: {error}") from error
    return ArchImage(arch, platform, manifest.blobs[0].digest, configuration.labels)
