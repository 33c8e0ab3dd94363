"""What Koji recorded of an image that was built before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.errors import UsageError
from fedpkg_container.model.reference import ImageReference


def image_of(build: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a build recorded of its image (``extra.typeinfo.image``); empty where there is none.

    :param build: as getBuild describes it
    """
    extra = build.get("extra") or {}
    image: Mapping[str, Any] = (extra.get("typeinfo") or {}).get("image") or extra.get("image") or {}
    return image


@dataclass(frozen=True)
class RecordedImage:
    """Where the image of a build is.

    :param pull: pull specs, as they were recorded
    :param by_digest: the one with a digest; None where there is none
    :param digests: of its lists, all formats
    :param floating_tags: those that the build asked for
    """

    pull: tuple[str, ...]
    by_digest: ImageReference | None
    digests: frozenset[str]
    floating_tags: frozenset[str]

    @classmethod
    def of(cls, build: Mapping[str, Any]) -> RecordedImage:
        """The image of a build, as getBuild describes it; nothing of another kind of build."""
        image = image_of(build)
        index = image.get("index") or {}
        pull = tuple(str(each) for each in index.get("pull") or [])
        return cls(
            pull=pull,
            by_digest=next((found for found in map(_reference, pull) if found and found.digest), None),
            digests=frozenset(str(each) for each in (index.get("digests") or {}).values()),
            floating_tags=frozenset(str(each) for each in index.get("floating_tags") or []),
        )


def _reference(text: str) -> ImageReference | None:
    try:
        return ImageReference.parse(text)
    except UsageError:
        return None
