# SPDX-License-Identifier: GPL-2.0-or-later
"""Floating tags: they point to the newest build that requests them, in whatever order builds end.

The newest is the one with the highest version and release, in RPM's order, among the builds of a package that are
COMPLETE, have a Koji tag, and recorded a request for the floating tag. Untagging a bad build thus returns its floating
tags to the build before.

There is no lock: after a build is recorded, each of its tags is pointed to the newest build, and the builds are queried
again until nothing has changed. Of two builds that end together, the later one sees both.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import koji

from fedpkg_container.errors import RegistryError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.model.evr import compare_evr, evr_key
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.koji_types import QueryOptions
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry

_log = logging.getLogger(__name__)

#: Latest builds of a package that are considered.
MAX_BUILDS = 200
#: Attempts to set the tags while other builds of the package end.
MAX_ATTEMPTS = 5


@dataclass(frozen=True)
class TaggedBuild:
    """A build that requests floating tags.

    :param index: its image index, by digest
    :param tags: the floating tags
    """

    nvr: NVR
    index: ImageReference
    tags: frozenset[str]


@dataclass(frozen=True)
class FloatingTagUpdater:
    """Updates the floating tags of one repository.

    :param session: hub session; used for queries only
    :param repository: in the candidate registry
    """

    session: HubSession
    registry: Registry
    repository: ImageReference

    def tags_of_newer_builds(self, nvr: NVR, tags: Iterable[str]) -> dict[str, NVR]:
        """Return those of the tags that belong to a newer build, and its NVR."""
        builds = self._tagged_builds(nvr)
        newest = {tag: _newest(builds, tag) for tag in tags}
        return {tag: build.nvr for tag, build in newest.items() if build and build.nvr != nvr}

    def update_floating_tags(self, nvr: NVR, tags: Sequence[str]) -> list[str]:
        """Point each tag of a recorded build to the newest build that requests it; return the tags that changed.

        :raises RegistryError: if a tag cannot be set
        """
        updated: dict[str, None] = {}
        if not tags:
            return []
        with self.registry.repository(self.repository) as repository:
            for _ in range(MAX_ATTEMPTS):
                builds = self._tagged_builds(nvr)
                for tag in tags:
                    newest = _newest(builds, tag)
                    if newest and repository.head(tag) != newest.index.digest:
                        repository.put_manifest(tag, repository.manifest(newest.index.digest))
                        _log.info("tag %s moved to %s (%s)", tag, newest.nvr, newest.index.digest)
                        updated[tag] = None
                if self._tagged_builds(nvr) == builds:
                    for tag in tags:
                        if tag not in updated:
                            _log.info("tag %s kept: it points to the newest build that requests it", tag)
                    return list(updated)
                _log.info("the builds of %s have changed: setting its floating tags again", nvr.name)
        raise RegistryError(
            f"cannot set the floating tags of {self.repository}: gave up after {MAX_ATTEMPTS} attempts, because other"
            f" builds of {nvr.name} kept finishing",
            solution="the next build of this package will set them",
        )

    def _tagged_builds(self, oldest: NVR) -> list[TaggedBuild]:
        """Return the builds that request floating tags of this repository: ``oldest`` and newer ones."""
        if self.session.getPackageID(oldest.name) is None:
            return []
        options: QueryOptions = {"order": "-build_id", "limit": MAX_BUILDS}
        complete = koji.BUILD_STATES["COMPLETE"]
        builds = self.session.listBuilds(packageID=oldest.name, state=complete, queryOpts=options)
        nvrs = {build["build_id"]: NVR(build["name"], build["version"], build["release"]) for build in builds}
        ids = [build_id for build_id, nvr in nvrs.items() if nvr == oldest or compare_evr(nvr, oldest) > 0]
        with self.session.multicall(strict=True) as calls:
            calls_by_id = [(build_id, calls.getBuild(build_id), calls.listTags(build_id)) for build_id in ids]
        tagged_builds = []
        for build_id, build, tags in calls_by_id:
            recorded = RecordedImage.of(build.result or {})
            image = recorded.by_digest
            if tags.result and image and image.tagged("") == self.repository.tagged(""):
                tagged_builds.append(TaggedBuild(nvrs[build_id], image, recorded.floating_tags))
        return tagged_builds


def _newest(builds: Iterable[TaggedBuild], tag: str) -> TaggedBuild | None:
    """Return the newest build that requests a tag."""
    candidates = [build for build in builds if tag in build.tags]
    return max(candidates, key=lambda build: evr_key(build.nvr), default=None)
