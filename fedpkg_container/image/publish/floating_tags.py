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

    :param image: its list of arches, by digest
    """

    nvr: NVR
    image: ImageReference
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

    def newer(self, nvr: NVR, tags: Iterable[str]) -> dict[str, NVR]:
        """Those of some tags that belong to a newer build, and to which one."""
        holders = self._holders(nvr)
        found = {tag: _newest(holders, tag) for tag in tags}
        return {tag: holder.nvr for tag, holder in found.items() if holder and holder.nvr != nvr}

    def settle(self, nvr: NVR, tags: Sequence[str]) -> list[str]:
        """Let each tag of a build that was recorded point to the newest build that asks for it; those that were set.

        :raises RegistryError: a tag could not be set
        """
        moved: dict[str, None] = {}
        if not tags:
            return []
        with self.registry.repository(self.repository) as repository:
            for _ in range(MAX_ATTEMPTS):
                holders = self._holders(nvr)
                for tag in tags:
                    holder = _newest(holders, tag)
                    if holder and repository.head(tag) != holder.image.digest:
                        repository.put_manifest(tag, repository.manifest(holder.image.digest))
                        moved[tag] = None
                if self._holders(nvr) == holders:
                    return list(moved)
        raise RegistryError(
            f"floating tags of {self.repository} could not be set: other builds of {nvr.name} keep ending",
            solution="they are set by the next build",
        )

    def _holders(self, oldest: NVR) -> list[TaggedBuild]:
        """The builds that ask for floating tags of this repository: one, and those that are newer."""
        if self.session.getPackageID(oldest.name) is None:
            return []
        options = {"order": "-build_id", "limit": MAX_BUILDS}
        complete = koji.BUILD_STATES["COMPLETE"]
        listed = self.session.listBuilds(packageID=oldest.name, state=complete, queryOpts=options)
        nvrs = {each["build_id"]: NVR(each["name"], each["version"], each["release"]) for each in listed}
        ids = [each for each, nvr in nvrs.items() if nvr == oldest or compare(nvr, oldest) > 0]
        with self.session.multicall(strict=True) as calls:
            answers = [(each, calls.getBuild(each), calls.listTags(each)) for each in ids]
        found = []
        for each, build, tags in answers:
            recorded = RecordedImage.of(build.result)
            image = recorded.by_digest
            if tags.result and image and image.tagged("") == self.repository.tagged(""):
                found.append(TaggedBuild(nvrs[each], image, recorded.floating_tags))
        return found


def _newest(holders: Iterable[TaggedBuild], tag: str) -> TaggedBuild | None:
    """The newest build that asks for a tag."""
    asking = [each for each in holders if tag in each.tags]
    return max(asking, key=lambda each: by_age(each.nvr), default=None)
