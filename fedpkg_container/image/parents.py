"""The images that a build stands on: resolved once to a digest, and looked up in Koji."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.registry import Registry

#: Finds a Koji build by NVR; None when there is none.
FindBuild = Callable[[str], "dict[str, Any] | None"]


@dataclass(frozen=True)
class Parent:
    """An image that FROM names.

    :param written: as the Dockerfile has it
    :param pinned: the same by digest
    :param build: id and nvr of the Koji build that it is; None when it is none
    """

    written: str
    pinned: ImageReference
    build: dict[str, Any] | None


def resolve(dockerfile: Dockerfile, registry: Registry, arches: list[str], find_build: FindBuild) -> list[Parent]:
    """Every parent of a Dockerfile, by digest.

    :param arches: Go's names of the arches that the parents must have
    :raises BuildFailedError: a parent lacks an arch
    :raises RegistryError: a parent does not exist, or its registry cannot be reached
    """
    return [_resolve(written, registry, arches, find_build) for written in dockerfile.parents]


def _resolve(written: str, registry: Registry, arches: list[str], find_build: FindBuild) -> Parent:
    image = ImageReference.parse(written)
    if not image.registry:
        raise BuildFailedError(
            f"FROM {written} does not say which registry", solution="write it as registry/repository:tag"
        )
    manifest = registry.manifest(image)
    if manifest.is_list:
        missing = sorted(set(arches) - set(manifest.architectures()))
        if missing:
            raise BuildFailedError(
                f"{written} has no image for {', '.join(missing)}",
                solution="build without these arches, or use another base image",
            )
    pinned = image.at(manifest.digest)
    return Parent(written, pinned, _koji_build(registry, pinned, arches[0], find_build))


def _koji_build(registry: Registry, pinned: ImageReference, arch: str, find_build: FindBuild) -> dict[str, Any] | None:
    """The Koji build that an image says it is, when Koji recorded this very digest."""
    labels = (json.loads(registry.config(pinned, arch)).get("config") or {}).get("Labels") or {}
    parts = [labels.get(name) for name in ("com.redhat.component", "version", "release")]
    if not all(parts):
        return None
    build = find_build("-".join(str(part) for part in parts))
    if not build:
        return None
    image = ((build.get("extra") or {}).get("typeinfo") or {}).get("image") or {}
    digests = ((image.get("index") or {}).get("digests") or {}).values()
    return {"id": build["id"], "nvr": build["nvr"]} if pinned.digest in digests else None
