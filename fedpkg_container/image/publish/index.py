# SPDX-License-Identifier: GPL-2.0-or-later
"""Publication of a build: from images in staging to image indexes in the final repository, under a unique tag.

Primary and floating tags are set when the build is recorded (``record.koji_import``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.errors import RegistryError
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.resolve.names import BuildTags
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.copy import copy_manifest
from fedpkg_container.registry.manifests import INDEX_TYPES, ImageConfiguration, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry

#: Warning about image configuration that the OCI format has no field for.
HEALTHCHECK_LOST = "the {} has no HEALTHCHECK: the OCI format does not support it"


@dataclass(frozen=True)
class PublishedIndex:
    """The image index of a finished build.

    :param repository: in the candidate registry
    :param digest: of the index
    :param media_type: of the index
    :param other_indexes: indexes of the same images in other formats: media type → digest
    :param other_media_types: media types of the images in those
    """

    repository: ImageReference
    digest: str
    media_type: str
    tags: BuildTags
    other_indexes: Mapping[str, str] = field(default_factory=dict)
    other_media_types: frozenset[str] = frozenset()

    @property
    def digests(self) -> dict[str, str]:
        """Digests of all indexes, that of the tags first: media type → digest."""
        return {self.media_type: self.digest, **self.other_indexes}

    @property
    def by_tag(self) -> str:
        """The pull spec by tag."""
        return str(self.repository.tagged(self.tags.primary or self.tags.unique))

    @property
    def by_digest(self) -> str:
        """The pull spec by digest."""
        return str(self.repository.at(self.digest))


def publish(
    repository: ImageReference,
    images: Sequence[BuiltImage],
    tags: BuildTags,
    formats: Sequence[str],
    registry: Registry,
    log: BuildLog,
) -> PublishedIndex:
    """Copy the images of all architectures to the final repository, and create their image indexes.

    :param formats: the first is that of ``images`` and of all tags; the index of each other one gets the unique tag
        with the format's name appended
    :raises RegistryError: if a push fails, or the registry returns other images than were built
    """
    unique = repository.tagged(tags.unique)
    log.report(f"publishing {unique}")
    manifest = _publish(unique, images, {image.arch: image.digest for image in images}, formats[0], registry)
    other_manifests = {}
    for image_format in formats[1:]:
        target = repository.tagged(f"{tags.unique}-{image_format}")
        log.report(f"publishing {target}")
        variants = {image.arch: image.variants[image_format] for image in images}
        other_manifests[target] = _publish(target, images, variants, image_format, registry)
    published = PublishedIndex(
        repository,
        manifest.digest,
        manifest.media_type,
        tags,
        other_indexes={index.media_type: index.digest for index in other_manifests.values()},
        other_media_types=frozenset(
            str(member["mediaType"]) for index in other_manifests.values() for member in index.members
        ),
    )
    log.report(f"published {published.by_digest}")
    return published


def _publish(
    target: ImageReference,
    images: Sequence[BuiltImage],
    digests: Mapping[str, str],
    image_format: str,
    registry: Registry,
) -> Manifest:
    """Copy images from staging and create their index; return the index.

    :param digests: of the images in this format, by architecture
    :raises RegistryError: if an image is for another architecture than it was built for
    """
    with registry.repository(target) as repository:
        members = []
        for image in images:
            staged = ImageReference.parse(image.staged_image)
            manifest = copy_manifest(digests[image.arch], Repository(repository.http, staged.repository), repository)
            members.append({**manifest.descriptor, "platform": _platform(image)})
        index = Manifest.of({"schemaVersion": 2, "mediaType": INDEX_TYPES[image_format], "manifests": members})
        repository.put_manifest(target.tag, index)
    return index


def _platform(image: BuiltImage) -> dict[str, str]:
    """Return the platform of an image for its index entry, from its own configuration."""
    platform = ImageConfiguration.read(image.config, where=image.staged_image).platform
    if not platform_of(image.arch).matches(platform):
        raise RegistryError(f"{image.staged_image} is for {'/'.join(platform.values())}, not for {image.arch}")
    return platform


def format_warnings(configuration: Callable[[], Mapping[str, Any]], formats: Sequence[str]) -> list[str]:
    """Return warnings about parts of an image that some of the formats do not support.

    :param configuration: returns the configuration of the image as built
    """
    if "oci" not in formats or not (configuration().get("config") or {}).get("Healthcheck"):
        return []
    return [HEALTHCHECK_LOST.format("image" if formats[0] == "oci" else "OCI variant of the image")]
