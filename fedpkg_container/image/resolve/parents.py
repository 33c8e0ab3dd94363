# SPDX-License-Identifier: GPL-2.0-or-later
"""Parent images: resolution of FROM to digests, and their builds in Koji."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import koji

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import ParentConfig
from fedpkg_container.errors import BuildFailedError, RegistryError, UsageError
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.koji_types import BuildInfo, ParentBuild
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference, imported_builds
from fedpkg_container.registry.skopeo import Registry

_log = logging.getLogger(__name__)

#: Returns a Koji build by NVR or ID; None if it does not exist.
FindBuild = Callable[["str | int"], "BuildInfo | None"]


@dataclass(frozen=True)
class Parent:
    """A parent image.

    :param name: reference as written in FROM
    :param pinned: the image by digest
    :param build: ``id`` and ``nvr`` of its Koji build; None if Koji has none
    """

    name: str
    pinned: ImageReference
    build: ParentBuild | None


@dataclass(frozen=True)
class ParentResolver:
    """Resolves the references in FROM.

    :param platforms: platforms that every parent must have
    :param find_build: queries Koji
    """

    config: BuilderConfig
    registry: Registry
    platforms: Sequence[Platform]
    find_build: FindBuild
    _configurations: dict[tuple[str, Platform], dict[str, Any]] = field(default_factory=dict, init=False)

    def resolve(
        self,
        dockerfile: Dockerfile,
        override: str = "",
        by_platform: Mapping[Platform, Dockerfile] | None = None,
    ) -> list[Parent]:
        """Return every parent of a Dockerfile, by digest.

        :param override: NVR of a Koji build that replaces the base image of the last stage
        :param by_platform: the Dockerfile as read for each platform; None if FROM does not depend on the platform
        :raises BuildFailedError: if a parent lacks an architecture or is not allowed, or the override does not match
        :raises RegistryError: if a parent does not exist, or its registry is unavailable
        """
        readings = by_platform or dict.fromkeys(self.platforms, dockerfile)
        platforms: dict[str, list[Platform]] = {}
        for platform, reading in readings.items():
            for name in reading.parents:
                platforms.setdefault(name, []).append(platform)
        images = {name: self._parse(name) for name in platforms}
        if override:
            if not dockerfile.base:
                raise BuildFailedError(
                    f"{override} cannot be the parent build: the last stage starts with FROM scratch",
                    solution="build without --koji-parent-build",
                )
            images[dockerfile.base] = self._image_of_build(override, images[dockerfile.base])
            _log.info("parent %s replaced with the image of build %s", dockerfile.base, override)
        return [self._resolve(name, image, platforms[name]) for name, image in images.items()]

    def config_of(self, parent: Parent, platform: Platform) -> ParentConfig:
        """Return the ENV and ONBUILD of a parent image.

        :raises RegistryError: if they are malformed, or the registry is unavailable
        """
        return parent_config(parent.name, self._configuration(parent.pinned, platform))

    def _configuration(self, image: ImageReference, platform: Platform) -> dict[str, Any]:
        """Return the configuration of an image, which is read once from the registry."""
        key = str(image), platform
        if key not in self._configurations:
            self._configurations[key] = self.registry.configuration(image, platform)
        return self._configurations[key]

    def _parse(self, name: str) -> ImageReference:
        try:
            image = ImageReference.parse(name)
        except UsageError as error:
            raise BuildFailedError(f"FROM {name[:200]}: {error.reason}", solution=error.solution) from error
        if not image.registry:
            raise BuildFailedError(f"FROM {name} names no registry", solution="write it as registry/repository:tag")
        return image

    def _image_of_build(self, nvr: str, instead_of: ImageReference) -> ImageReference:
        """Return the image of a Koji build, which must be from the same repository."""
        build = self.find_build(nvr)
        if not build:
            raise BuildFailedError(f"build {nvr} does not exist in Koji", solution="check --koji-parent-build")
        if build["state"] != koji.BUILD_STATES["COMPLETE"]:
            state = koji.BUILD_STATES[build["state"]]
            raise BuildFailedError(f"build {nvr} is {state}", solution="pass a COMPLETE build to --koji-parent-build")
        image = RecordedImage.of(build).by_digest
        if image is None:
            raise BuildFailedError(f"build {nvr} is not a container image", solution="check --koji-parent-build")
        if image.repository != instead_of.repository:
            raise BuildFailedError(
                f"build {nvr} is an image of {image.repository}, but FROM names {instead_of.repository}",
                solution="pass a build of the same image to --koji-parent-build",
            )
        return image

    def _resolve(self, name: str, image: ImageReference, platforms: Sequence[Platform]) -> Parent:
        if not self.config.allows_parent(image):
            raise BuildFailedError(
                f"FROM {image}: base images from {image.registry} are not allowed on this site",
                solution=f"use one of {', '.join(self.config.sources)}",
            )
        manifest = self.registry.manifest(image)
        pinned = image.at(manifest.digest)
        available = manifest.platforms if manifest.is_index else [self.registry.configuration(pinned)]
        missing = [platform for platform in platforms if not any(map(platform.matches, available))]
        if missing:
            single = (
                ""
                if manifest.is_index
                else f": it is a single image for {_format_platform(available[0])}, not an image index"
            )
            raise BuildFailedError(
                f"{image} has no image for {', '.join(sorted(map(str, missing)))}{single}",
                solution="build without these architectures, or use another base image",
            )
        return Parent(name, pinned, self._find_koji_build(pinned, platforms[0]))

    def _find_koji_build(self, pinned: ImageReference, platform: Platform) -> ParentBuild | None:
        """Return the Koji build that recorded the digest of an image: the one in its labels, or an import."""
        labels = (self._configuration(pinned, platform).get("config") or {}).get("Labels")
        label_values: Mapping[str, object] = labels if isinstance(labels, dict) else {}
        parts = [label_values.get(name) for name in ("com.redhat.component", "version", "release")]
        labeled_nvr = "-".join(str(part) for part in parts)
        candidates = [labeled_nvr] if all(isinstance(part, str) and part for part in parts) else []
        return self._matching_build(pinned, candidates) or self._matching_build(pinned, self._import_builds(pinned))

    def _matching_build(self, pinned: ImageReference, builds: Iterable[str | int]) -> ParentBuild | None:
        """Return the first of some builds for which Koji recorded this image."""
        for nvr_or_id in builds:
            build = self.find_build(nvr_or_id)
            if build and pinned.digest in RecordedImage.of(build).digests:
                return {"id": build["id"], "nvr": build["nvr"]}
        return None

    def _import_builds(self, pinned: ImageReference) -> Iterator[int]:
        """Yield IDs of the builds as which images of a repository were imported, newest first."""
        if pinned.registry == self.config.candidate:
            yield from imported_builds(self.registry.tags(pinned))


def parent_config(name: str, configuration: Mapping[str, object]) -> ParentConfig:
    """Return the relevant parts of the configuration of a parent image.

    :param name: reference in FROM
    :raises RegistryError: if they are malformed
    """
    try:
        return ParentConfig.read(configuration)
    except ValueError as error:
        raise RegistryError(f"{name}: {error}", solution="use another base image") from error


def _format_platform(platform: Mapping[str, object]) -> str:
    """Return the platform of a single image, for messages."""
    system, variant = platform.get("os", "linux"), platform.get("variant")
    parts = ["" if system == "linux" else system, platform.get("architecture") or "unknown", variant]
    return "/".join(str(part) for part in parts if part)
