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

    :param written: as the Dockerfile has it
    :param pinned: what is built on, by digest
    :param build: id and nvr of the Koji build that it is; None when it is none
    """

    written: str
    pinned: ImageReference
    build: dict[str, Any] | None


@dataclass(frozen=True)
class ParentResolver:
    """Finds out which images FROM means.

    :param platforms: those that parents must be for
    :param find_build: looks in Koji
    """

    site: BuilderConfig
    registry: Registry
    platforms: Sequence[Platform]
    find_build: FindBuild

    def resolve(self, dockerfile: Dockerfile, override: str = "") -> list[Parent]:
        """Every parent of a Dockerfile, by digest.

        :param override: NVR of a Koji build that stands in for the image that the last stage begins with
        :raises BuildFailedError: a parent lacks an arch, comes from where it may not, or the override does not fit
        :raises RegistryError: a parent does not exist, or its registry cannot be reached
        """
        images = {written: self._parse(written) for written in dockerfile.parents}
        if override:
            if not dockerfile.base:
                raise BuildFailedError(
                    f"{override} cannot be the parent: the last stage begins with FROM scratch",
                    solution="build without --koji-parent-build",
                )
            images[dockerfile.base] = self._of_build(override, images[dockerfile.base])
        return [self._resolve(written, image) for written, image in images.items()]

    def _parse(self, written: str) -> ImageReference:
        try:
            image = ImageReference.parse(written)
        except UsageError as error:
            raise BuildFailedError(f"FROM {written[:200]}: {error.reason}", solution=error.solution) from error
        if not image.registry:
            raise BuildFailedError(
                f"FROM {written} does not say which registry", solution="write it as registry/repository:tag"
            )
        return image

    def _of_build(self, nvr: str, instead_of: ImageReference) -> ImageReference:
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

    def _resolve(self, written: str, image: ImageReference) -> Parent:
        if not self.site.allows_source(image):
            raise BuildFailedError(
                f"FROM {image}: images of {image.registry} are not built on here",
                solution=f"use one of {', '.join(self.site.sources)}",
            )
        manifest = self.registry.manifest(image)
        pinned = image.at(manifest.digest)
        have = manifest.platforms if manifest.is_list else [self.registry.settings(pinned)]
        missing = [each for each in self.platforms if not any(map(each.fits, have))]
        if missing:
            alone = "" if manifest.is_list else f": it is one image, of {_format_platform(have[0])}, not a list"
            raise BuildFailedError(
                f"{image} has no image for {', '.join(sorted(map(str, missing)))}{alone}",
                solution="build without these arches, or use another base image",
            )
        return Parent(written, pinned, self._koji_build(pinned))

    def _koji_build(self, pinned: ImageReference) -> dict[str, Any] | None:
        """The Koji build that an image is: its labels say which, or a tag that imports set; Koji has its digest."""
        labels = (self.registry.settings(pinned, self.platforms[0]).get("config") or {}).get("Labels")
        found: Mapping[str, Any] = labels if isinstance(labels, dict) else {}
        parts = [found.get(name) for name in ("com.redhat.component", "version", "release")]
        said = "-".join(str(part) for part in parts)
        named = [said] if all(isinstance(part, str) and part for part in parts) else []
        return self._recorded(pinned, named) or self._recorded(pinned, self._imports(pinned))

    def _recorded(self, pinned: ImageReference, builds: Iterable[str | int]) -> dict[str, Any] | None:
        """That of some builds for which Koji recorded this very image."""
        for each in builds:
            build = self.find_build(each)
            if build and pinned.digest in RecordedImage.of(build).digests:
                return {"id": build["id"], "nvr": build["nvr"]}
        return None

    def _imports(self, pinned: ImageReference) -> Iterator[int]:
        """Builds that base images of a repository became, the newest first."""
        if pinned.registry == self.site.candidate:
            yield from imported(self.registry.tags(pinned))


def _format_platform(platform: Mapping[str, Any]) -> str:
    """What a single image says that it runs on."""
    system, variant = platform.get("os", "linux"), platform.get("variant")
    named = ["" if system == "linux" else system, platform.get("architecture") or "unknown", variant]
    return "/".join(str(each) for each in named if each)
