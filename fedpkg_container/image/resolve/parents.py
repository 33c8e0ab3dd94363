"""The images that a build stands on: resolved once to a digest, and looked up in Koji."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import BuildFailedError, UsageError
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference, imported
from fedpkg_container.registry.skopeo import Registry

#: Finds a Koji build by NVR or id; None when there is none.
FindBuild = Callable[["str | int"], "dict[str, Any] | None"]


@dataclass(frozen=True)
class Parent:
    """An image that FROM names.

    :param name: as the Dockerfile has it
    :param pinned: what is built on, by digest
    :param build: id and nvr of the Koji build that it is; None when it is none
    """

    name: str
    pinned: ImageReference
    build: dict[str, Any] | None


@dataclass(frozen=True)
class ParentResolver:
    """Finds out which images FROM means.

    :param platforms: those that parents must be for
    :param find_build: looks in Koji
    """

    config: BuilderConfig
    registry: Registry
    platforms: Sequence[Platform]
    find_build: FindBuild

    def resolve(self, dockerfile: Dockerfile, override: str = "") -> list[Parent]:
        """Every parent of a Dockerfile, by digest.

        :param override: NVR of a Koji build that stands in for the image that the last stage begins with
        :raises BuildFailedError: a parent lacks an arch, comes from where it may not, or the override does not fit
        :raises RegistryError: a parent does not exist, or its registry cannot be reached
        """
        images = {name: self._parse(name) for name in dockerfile.parents}
        if override:
            if not dockerfile.base:
                raise BuildFailedError(
                    f"{override} cannot be the parent: the last stage begins with FROM scratch",
                    solution="build without --koji-parent-build",
                )
            images[dockerfile.base] = self._image_of_build(override, images[dockerfile.base])
        return [self._resolve(name, image) for name, image in images.items()]

    def _parse(self, name: str) -> ImageReference:
        try:
            image = ImageReference.parse(name)
        except UsageError as error:
            raise BuildFailedError(f"FROM {name[:200]}: {error.reason}", solution=error.solution) from error
        if not image.registry:
            raise BuildFailedError(
                f"FROM {name} does not say which registry", solution="write it as registry/repository:tag"
            )
        return image

    def _image_of_build(self, nvr: str, instead_of: ImageReference) -> ImageReference:
        """The image of a Koji build, which must be one of the same repository."""
        build = self.find_build(nvr)
        if not build:
            raise BuildFailedError(f"there is no build {nvr} in Koji", solution="check --koji-parent-build")
        if build["state"] != koji.BUILD_STATES["COMPLETE"]:
            state = koji.BUILD_STATES[build["state"]]
            raise BuildFailedError(f"build {nvr} is {state}", solution="give --koji-parent-build one that is complete")
        image = RecordedImage.of(build).by_digest
        if image is None:
            raise BuildFailedError(f"build {nvr} is no container image", solution="check --koji-parent-build")
        if image.repository != instead_of.repository:
            raise BuildFailedError(
                f"build {nvr} is an image of {image.repository}, and FROM names {instead_of.repository}",
                solution="give --koji-parent-build a build of the same image",
            )
        return image

    def _resolve(self, name: str, image: ImageReference) -> Parent:
        if not self.config.allows_parent(image):
            raise BuildFailedError(
                f"FROM {image}: images of {image.registry} are not built on here",
                solution=f"use one of {', '.join(self.config.sources)}",
            )
        manifest = self.registry.manifest(image)
        pinned = image.at(manifest.digest)
        available = manifest.platforms if manifest.is_list else [self.registry.settings(pinned)]
        missing = [each for each in self.platforms if not any(map(each.fits, available))]
        if missing:
            single = "" if manifest.is_list else f": it is one image, of {_format_platform(available[0])}, not a list"
            raise BuildFailedError(
                f"{image} has no image for {', '.join(sorted(map(str, missing)))}{single}",
                solution="build without these arches, or use another base image",
            )
        return Parent(name, pinned, self._find_koji_build(pinned))

    def _find_koji_build(self, pinned: ImageReference) -> dict[str, Any] | None:
        """The Koji build that an image is: its labels say which, or a tag that imports set; Koji has its digest."""
        labels = (self.registry.settings(pinned, self.platforms[0]).get("config") or {}).get("Labels")
        label_values: Mapping[str, Any] = labels if isinstance(labels, dict) else {}
        parts = [label_values.get(name) for name in ("com.redhat.component", "version", "release")]
        labeled_nvr = "-".join(str(part) for part in parts)
        candidates = [labeled_nvr] if all(isinstance(part, str) and part for part in parts) else []
        return self._matching_build(pinned, candidates) or self._matching_build(pinned, self._import_builds(pinned))

    def _matching_build(self, pinned: ImageReference, builds: Iterable[str | int]) -> dict[str, Any] | None:
        """That of some builds for which Koji recorded this very image."""
        for nvr_or_id in builds:
            build = self.find_build(nvr_or_id)
            if build and pinned.digest in RecordedImage.of(build).digests:
                return {"id": build["id"], "nvr": build["nvr"]}
        return None

    def _import_builds(self, pinned: ImageReference) -> Iterator[int]:
        """Builds that base images of a repository became, the newest first."""
        if pinned.registry == self.config.candidate:
            yield from imported(self.registry.tags(pinned))


def _format_platform(platform: Mapping[str, Any]) -> str:
    """What a single image says that it runs on."""
    system, variant = platform.get("os", "linux"), platform.get("variant")
    parts = ["" if system == "linux" else system, platform.get("architecture") or "unknown", variant]
    return "/".join(str(each) for each in parts if each)
