# SPDX-License-Identifier: GPL-2.0-or-later
"""Images recorded in Koji: builds, their tags, and candidates for promotion."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from fedpkg_container.errors import UsageError
from fedpkg_container.model.json_values import items, mapping
from fedpkg_container.model.koji_types import BuildInfo, ImageMetadata
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference


def image_metadata(build: BuildInfo) -> ImageMetadata:
    """Return the image metadata of a build (``extra.typeinfo.image``); empty if there is none.

    :param build: result of ``getBuild``
    """
    extra = mapping(build.get("extra"))
    image: ImageMetadata = mapping(mapping(extra.get("typeinfo")).get("image")) or mapping(extra.get("image"))
    return image


@dataclass(frozen=True)
class RecordedImage:
    """Location of the image of a build.

    :param pull: pull specs as recorded
    :param by_digest: the pull spec with a digest; None if there is none
    :param digests: digests of its image index, in all formats
    :param floating_tags: floating tags requested by the build
    :param own_tags: tags that only this image has
    """

    pull: tuple[str, ...]
    by_digest: ImageReference | None
    digests: frozenset[str]
    floating_tags: frozenset[str]
    own_tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, build: BuildInfo) -> RecordedImage:
        """Return the image of a build (result of ``getBuild``); empty for other types of builds."""
        image = image_metadata(build)
        index = mapping(image.get("index"))
        pull = tuple(str(spec) for spec in items(index.get("pull")))
        return cls(
            pull=pull,
            by_digest=next((reference for reference in map(_reference, pull) if reference and reference.digest), None),
            digests=frozenset(str(digest) for digest in mapping(index.get("digests")).values()),
            floating_tags=frozenset(str(tag) for tag in items(index.get("floating_tags"))),
            own_tags=frozenset(str(tag) for key in ("tags", "unique_tags") for tag in items(index.get(key))),
        )

    def is_named_by(self, reference: ImageReference) -> bool:
        """Whether a reference names this image: by digest in any repository, or by tag in that of the build.

        Floating tags may have been moved to the image of a later build.
        """
        if reference.digest:
            return reference.digest in self.digests
        is_same_place = self.by_digest is not None and self.by_digest.at("") == reference.at("")
        return is_same_place and (reference.tag or "latest") in self.own_tags | self.floating_tags


def _reference(text: str) -> ImageReference | None:
    try:
        return ImageReference.parse(text)
    except UsageError:
        return None


@dataclass(frozen=True)
class ImageRecord:
    """The builds that Koji has recorded for an image.

    :param nvrs: builds that recorded the image; empty if there are none
    :param completed: completion time of the last of them, seconds since the epoch; None if unknown
    :param needed: why the image must be kept, to be used in a sentence; empty if it need not
    """

    nvrs: tuple[str, ...] = ()
    completed: float | None = None
    needed: str = ""


@dataclass(frozen=True)
class TaskRecord:
    """State of a task in Koji.

    :param builds: whether the task builds containers
    :param ended: whether the task has ended, in any state
    """

    builds: bool
    ended: bool


class ImageRecords(Protocol):
    """Records of images in Koji; results are never cached between calls.

    Methods raise ``LostContactError`` if Koji cannot be reached.
    """

    def images(self, digests: Collection[str], young: float) -> Mapping[str, ImageRecord]:
        """Return the records of images by their digests, omitting images unknown to Koji.

        :param young: builds completed after this time (seconds since the epoch) are needed
        """

    def tasks(self, ids: Collection[int]) -> Mapping[int, TaskRecord]:
        """Return the records of tasks by their IDs, omitting tasks unknown to Koji."""


@dataclass(frozen=True)
class Candidate:
    """A complete build of an image, which can be promoted.

    :param image: its image index by digest, as recorded in Koji
    :param koji_tags: Koji tags of the build
    :param floating: floating tags requested by the build, as recorded in Koji
    :param parents: parent images, which share some of its layers
    """

    nvr: NVR
    image: ImageReference
    koji_tags: tuple[str, ...] = ()
    floating: tuple[str, ...] = ()
    parents: tuple[ImageReference, ...] = ()


@dataclass(frozen=True)
class RejectedCandidate:
    """A requested build that cannot be promoted.

    :param nvr: NVR as requested
    :param reason: what is wrong, in one sentence
    :param solution: what to do
    """

    nvr: str
    reason: str
    solution: str = ""
