# SPDX-License-Identifier: GPL-2.0-or-later
"""Koji's records of the images in FROM: what images based on them inherit."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import koji

from fedpkg_container.errors import UsageError
from fedpkg_container.hub.builds import MAX_BUILDS
from fedpkg_container.hub.protocol import Call, HubSession, Multicall
from fedpkg_container.hub.tasks import result_or_none
from fedpkg_container.model.json_values import mapping
from fedpkg_container.model.koji_images import RecordedImage, image_metadata
from fedpkg_container.model.koji_types import BuildInfo, QueryOptions, TargetInfo
from fedpkg_container.model.options import default_components
from fedpkg_container.model.reference import ImageReference

_log = logging.getLogger(__name__)

#: Maximum number of images to query; others stay unknown.
MAX_IMAGES = 10
_COMPLETE = koji.BUILD_STATES["COMPLETE"]
_NEWEST: QueryOptions = {"order": "-build_id", "limit": MAX_BUILDS}

#: The recorded part of an image configuration (``Env``, ``OnBuild``), which is not validated.
Inherited = Mapping[str, Any]


def target_and_parents(
    session: HubSession, target: str, images: Sequence[str], *, base: str = "", replacement: str = ""
) -> tuple[TargetInfo | None, Mapping[str, Inherited]]:
    """Return a build target, and what the images in FROM pass on, with one request.

    An image is unknown if Koji has no record of it, or one of an earlier version of this program.

    :param images: references as in FROM, with variables substituted
    :param base: the image in FROM that is replaced (``--koji-parent-build``)
    :param replacement: NVR of the build that replaces it; empty if none does
    :returns: target, None if there is none; and reference → inherited part of its configuration
    """
    with session.multicall(strict=False) as multicall:
        target_call = multicall.getBuildTarget(target)
        replaced = multicall.getBuild(replacement) if replacement else None
        queries = {
            name: _ImageQuery(multicall, image)
            for name in images[:MAX_IMAGES]
            if (image := _reference(name)) and not (replacement and name == base)
        }
    records = {name: query.build() for name, query in queries.items()}
    if replaced is not None:
        records[base] = result_or_none(replaced)
    inherited = {name: part for name, build in records.items() if build and (part := _inherited(build))}
    for name in inherited:
        _log.info("parent image %s: configuration recorded with build %s", name, mapping(records[name]).get("nvr"))
    return target_call.result, inherited


class _ImageQuery:
    """The calls that find the build of an image, as part of a multicall: the package is guessed from the repository."""

    def __init__(self, multicall: Multicall, image: ImageReference) -> None:
        self._image = image
        packages = default_components(image.repository)
        self._lists: list[Call[Sequence[BuildInfo]]] = [
            multicall.listBuilds(packageID=package, state=_COMPLETE, queryOpts=_NEWEST) for package in packages
        ]
        is_release = "-" in image.tag and not image.digest
        self._tagged = [multicall.getBuild(f"{package}-{image.tag}") for package in packages if is_release]

    def build(self) -> BuildInfo | None:
        """Return the build after the multicall; the last one to be completed, if a floating tag names several."""
        builds = [build for call in self._lists for build in result_or_none(call) or ()]
        builds += [build for call in self._tagged if (build := result_or_none(call)) and build["state"] == _COMPLETE]
        named = [build for build in builds if RecordedImage.of(build).is_named_by(self._image)]
        return max(named, key=lambda build: build.get("completion_ts") or 0.0, default=None)


def _reference(name: str) -> ImageReference | None:
    try:
        return ImageReference.parse(name)
    except UsageError:
        return None


def _inherited(build: BuildInfo) -> Inherited:
    inherited: Inherited = mapping(image_metadata(build).get("inherited"))
    return inherited
