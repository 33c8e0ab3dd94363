# SPDX-License-Identifier: GPL-2.0-or-later
"""Description of the image of one architecture: RPMs, distribution, configuration and digests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.opening import open_plain
from fedpkg_container.errors import RegistryError
from fedpkg_container.image.inspect.rpms import DATABASES, InstalledRPM, read_packages
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_types import Buildroot
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.manifests import ImageConfiguration
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.text import printable_line

_LINE = re.compile(r"""^(ID|VERSION_ID)=["']?([a-z0-9][a-z0-9._-]{0,63})["']?\s*$""", re.MULTILINE)
_OS_RELEASE_PATHS = (("usr", "lib", "os-release"), ("etc", "os-release"))
#: Paths of os-release below the root of an image.
OS_RELEASE = tuple("/".join(place) for place in _OS_RELEASE_PATHS)
_MAX_OS_RELEASE_BYTES = 64 * 1024


def read_distribution(root: Path) -> dict[str, str]:
    """Return ``id`` and ``version`` of the distribution from os-release(5), if present.

    :param root: root directory of the image's files; links in it are not followed
    """
    for path in _OS_RELEASE_PATHS:
        text = _read_below(root, path)
        if text:
            values = dict(_LINE.findall(text))
            return {key: values[name] for key, name in (("id", "ID"), ("version", "VERSION_ID")) if name in values}
    return {}


def _read_below(root: Path, path: tuple[str, ...]) -> str:
    try:
        with open_plain(root.joinpath(*path), root.parent) as file:
            return file.read(_MAX_OS_RELEASE_BYTES).decode(errors="replace")
    except OSError:
        return ""


#: Size limit of an image configuration, bytes: Koji stores it with the build.
MAX_CONFIGURATION_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class ImageContents:
    """Contents of an image, read from its files.

    :param distribution: ``id`` and ``version``, if known
    """

    packages: Sequence[InstalledRPM] = ()
    distribution: dict[str, str] = field(default_factory=dict)


def inspect_image(engine: Buildah, image_id: str) -> ImageContents:
    """Return the RPMs and the distribution of an image.

    :raises BuildFailedError: if its RPM database cannot be read
    """
    root = engine.files(image_id, directories=DATABASES, files=OS_RELEASE)
    return ImageContents(read_packages(root, engine.workspace), read_distribution(root))


def describe_image(
    registry: Registry,
    arch: str,
    reference: ImageReference,
    contents: ImageContents,
    *,
    buildroot: Buildroot,
    parent_id: str = "",
) -> BuiltImage:
    """Return the description of the image of one architecture.

    :param arch: Koji's name of the architecture
    :param reference: by digest
    :param buildroot: from ``describe_buildroot``
    :param parent_id: image ID of the parent, if known
    :raises RegistryError: if it does not exist, is not an image, or the registry is unavailable
    """
    with registry.repository(reference) as repository:
        manifest = repository.manifest(reference.digest)
        if not manifest.blobs:
            raise RegistryError(f"{reference} is not an image of a single architecture")
        if manifest.blobs[0].size > MAX_CONFIGURATION_BYTES:
            raise RegistryError(f"the configuration of {reference} has more than {MAX_CONFIGURATION_BYTES} bytes")
        raw = repository.blob(manifest.blobs[0])
        diff_ids = ImageConfiguration.read(raw, where=str(reference)).diff_ids
    return BuiltImage(
        arch=arch,
        staged_image=str(reference),
        digest=manifest.digest,
        media_type=manifest.media_type,
        image_id=manifest.blobs[0].digest,
        config=raw.decode(),
        layers=[{"layer": layer.digest, "size": layer.size} for layer in manifest.blobs[1:]],
        diff_ids=diff_ids,
        components=[package.component for package in contents.packages],
        details=[package.details for package in contents.packages],
        distribution=contents.distribution,
        files=[],
        buildroot=buildroot,
        parent_id=parent_id,
    )


def check_labels(registry: Registry, images: Iterable[ImageReference], labels: Mapping[str, str]) -> None:
    """Check the labels that identify the build of images: a worker made them.

    :param images: by digest
    :param labels: required labels
    :raises RegistryError: if one differs, or an image cannot be read
    """
    for image in images:
        with registry.repository(image) as repository:
            actual = repository.labels(repository.manifest(image.digest))
        for name, value in labels.items():
            if actual.get(name) != value:
                shown = printable_line(actual.get(name, "")[:200])
                raise RegistryError(
                    f"{image} has the label {name} = {shown!r} instead of {value!r}",
                    solution="check what RUN does",
                )
