"""What Koji has recorded of images: builds, their tags, and whether they may be promoted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fedpkg_container.errors import UsageError
from fedpkg_container.model.build import NVR
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


@dataclass(frozen=True)
class Record:
    """What Koji says of an image.

    :param nvrs: the builds that recorded it; empty when there are none
    :param completed: when the last of them was complete, seconds since the epoch; None when that is not known
    :param needed: why it is needed, a part of a sentence; empty when it is not
    """

    nvrs: tuple[str, ...] = ()
    completed: float | None = None
    needed: str = ""


@dataclass(frozen=True)
class TaskRecord:
    """What Koji says of a task.

    :param builds: whether it is one that builds containers
    :param ended: whether it has ended, however that was
    """

    builds: bool
    ended: bool


class Records(Protocol):
    """Koji, as far as it is asked about images; every answer is as of now.

    Methods raise ``LostContactError`` when Koji cannot be reached.
    """

    def images(self, digests: Collection[str], young: float) -> Mapping[str, Record]:
        """What Koji says of some images, by their digests; those of which it says nothing are left out.

        :param young: builds that were complete after this moment are needed
        """

    def tasks(self, ids: Collection[int]) -> Mapping[int, TaskRecord]:
        """Some tasks; those that it does not know are left out."""


@dataclass(frozen=True)
class Candidate:
    """A complete build of an image.

    :param image: its list of arches by digest, as Koji recorded it
    :param koji_tags: the tags of Koji that the build is in
    :param floating: tags that Koji recorded as asked for by the build
    :param parents: the images that it was built on, which have some of its layers
    """

    nvr: NVR
    image: ImageReference
    koji_tags: tuple[str, ...] = ()
    floating: tuple[str, ...] = ()
    parents: tuple[ImageReference, ...] = ()


@dataclass(frozen=True)
class NoCandidate:
    """What was asked for and cannot be promoted.

    :param nvr: as it was asked for
    :param reason: what is wrong, one sentence
    :param solution: what to do next
    """

    nvr: str
    reason: str
    solution: str = ""
