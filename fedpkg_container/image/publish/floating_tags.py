"""Floating tags: they point to the newest build that asks for them, in whatever order builds end.

The newest is the one with the highest version and release, as RPM orders them, of those builds of a package that are
complete, are in a tag of Koji, and recorded that they ask for the floating tag. So a newer build that was wrong gives
its floating tags up when it is untagged.

Nothing is locked: a build that has been recorded lets each of its tags point to the newest build, looks again, and
does so until nothing has changed meanwhile. Whichever of two builds comes last sees both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.errors import RegistryError
from fedpkg_container.model.build import NVR
from fedpkg_container.model.evr import by_age, compare
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry

#: How many of the latest builds of a package are looked at.
MAX_BUILDS = 200
#: How often the tags are set anew because another build ended meanwhile.
MAX_ATTEMPTS = 5


@dataclass(frozen=True)
class TaggedBuild:
    """A build that asks for floating tags.

    :param index: its list of arches, by digest
    """

    nvr: NVR
    index: ImageReference
    tags: frozenset[str]


@dataclass(frozen=True)
class FloatingTagUpdater:
    """The floating tags of one repository.

    :param session: of the hub; only asked
    :param repository: in the candidate registry
    """

    session: Any
    registry: Registry
    repository: ImageReference

    def tags_of_newer_builds(self, nvr: NVR, tags: Iterable[str]) -> dict[str, NVR]:
        """Those of some tags that belong to a newer build, and to which one."""
        builds = self._tagged_builds(nvr)
        newest = {tag: _newest(builds, tag) for tag in tags}
        return {tag: build.nvr for tag, build in newest.items() if build and build.nvr != nvr}

    def update_floating_tags(self, nvr: NVR, tags: Sequence[str]) -> list[str]:
        """Let each tag of a build that was recorded point to the newest build that asks for it; those that were set.

        :raises RegistryError: a tag could not be set
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
                        updated[tag] = None
                if self._tagged_builds(nvr) == builds:
                    return list(updated)
        raise RegistryError(
            f"floating tags of {self.repository} could not be set: other builds of {nvr.name} keep ending",
            solution="they are set by the next build",
        )

    def _tagged_builds(self, oldest: NVR) -> list[TaggedBuild]:
        """The builds that ask for floating tags of this repository: one, and those that are newer."""
        if self.session.getPackageID(oldest.name) is None:
            return []
        options = {"order": "-build_id", "limit": MAX_BUILDS}
        complete = koji.BUILD_STATES["COMPLETE"]
        listed = self.session.listBuilds(packageID=oldest.name, state=complete, queryOpts=options)
        nvrs = {
            build_id["build_id"]: NVR(build_id["name"], build_id["version"], build_id["release"]) for build_id in listed
        }
        ids = [build_id for build_id, nvr in nvrs.items() if nvr == oldest or compare(nvr, oldest) > 0]
        with self.session.multicall(strict=True) as calls:
            calls_by_id = [(build_id, calls.getBuild(build_id), calls.listTags(build_id)) for build_id in ids]
        tagged_builds = []
        for build_id, build, tags in calls_by_id:
            recorded = RecordedImage.of(build.result)
            image = recorded.by_digest
            if tags.result and image and image.tagged("") == self.repository.tagged(""):
                tagged_builds.append(TaggedBuild(nvrs[build_id], image, recorded.floating_tags))
        return tagged_builds


def _newest(builds: Iterable[TaggedBuild], tag: str) -> TaggedBuild | None:
    """The newest build that asks for a tag."""
    candidates = [build for build in builds if tag in build.tags]
    return max(candidates, key=lambda build: by_age(build.nvr), default=None)
