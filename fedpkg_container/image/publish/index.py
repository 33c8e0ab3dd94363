"""Bringing a build's arches from staging into the final repository: their lists, under a tag that nobody else has.

The tags that people type are set when the build is recorded (``recording``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fedpkg_container.errors import RegistryError
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.record.metadata import PublishedIndex
from fedpkg_container.image.resolve.names import BuildTags
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.copy import carry
from fedpkg_container.registry.manifests import LIST_TYPES, ImageConfiguration, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry

#: What is said of images that have what OCI's format has no place for (it was left out of its image configuration).
HEALTHCHECK_LOST = "HEALTHCHECK is not in the {}: the OCI format has no place for it"


def publish(
    repository: ImageReference,
    images: Sequence[BuiltImage],
    tags: BuildTags,
    formats: Sequence[str],
    registry: Registry,
    log: BuildLog,
) -> PublishedIndex:
    """Bring all arches with their lists into the final repository.

    :param formats: the first is that of the images, and what all tags will mean; the list of another one gets the
        unique tag with the format's name behind it
    :raises RegistryError: it could not be pushed, or the registry has something else than was built
    """
    unique = repository.tagged(tags.unique)
    log.report(f"publishing {unique}")
    manifest = _publish(unique, images, {each.arch: each.digest for each in images}, formats[0], registry)
    other_manifests = {}
    for image_format in formats[1:]:
        target = repository.tagged(f"{tags.unique}-{image_format}")
        log.report(f"publishing {target}")
        variants = {each.arch: each.variants[image_format] for each in images}
        other_manifests[target] = _publish(target, images, variants, image_format, registry)
    published = PublishedIndex(
        repository,
        manifest.digest,
        manifest.media_type,
        tags,
        other_indexes={each.media_type: each.digest for each in other_manifests.values()},
        other_media_types=frozenset(
            str(member["mediaType"]) for each in other_manifests.values() for member in each.members
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
    """Bring images from staging to a list of them; the list.

    :param digests: of the images in this format, by architecture
    :raises RegistryError: one is of another arch than it was built for
    """
    with registry.repository(target) as repository:
        members = []
        for image in images:
            staged = ImageReference.parse(image.staging)
            manifest = carry(digests[image.arch], Repository(repository.http, staged.repository), repository)
            members.append({**manifest.descriptor, "platform": _platform(image)})
        index = Manifest.of({"schemaVersion": 2, "mediaType": LIST_TYPES[image_format], "manifests": members})
        repository.put_manifest(target.tag, index)
    return index


def _platform(image: BuiltImage) -> dict[str, str]:
    """What a list says that an image runs on: what the image itself says."""
    platform = ImageConfiguration.read(image.config, where=image.staging).platform
    if not platform_of(image.arch).fits(platform):
        raise RegistryError(f"{image.staging} is an image for {'/'.join(platform.values())}, not for {image.arch}")
    return platform


def format_warnings(configuration: Callable[[], Mapping[str, Any]], formats: Sequence[str]) -> list[str]:
    """What an image has that some formats do not keep, as warnings for the packager.

    :param configuration: gives that of the image as it was built
    """
    if "oci" not in formats or not (configuration().get("config") or {}).get("Healthcheck"):
        return []
    return [HEALTHCHECK_LOST.format("image" if formats[0] == "oci" else "OCI variant of the image")]
