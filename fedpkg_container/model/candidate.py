"""A build whose image may be promoted, or why there is none: what a hub knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from fedpkg_container.model.build import NVR
from fedpkg_container.model.reference import ImageReference


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
