# SPDX-License-Identifier: GPL-2.0-or-later
"""Image builds recorded on a hub, and which of them are still needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import koji

from fedpkg_container.errors import UsageError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.reservation import ENDED_STATES
from fedpkg_container.hub.session import hub_errors
from fedpkg_container.model.koji_images import ImageRecord, RecordedImage, TaskRecord, image_metadata
from fedpkg_container.model.koji_types import BuildInfo, QueryOptions
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.text import printable_line

#: Maximum number of builds in one response, and of calls in one request.
PAGE_SIZE = 1000
MAX_CALLS = 200
#: Methods of tasks that build containers, for all or for one architecture.
CONTAINER_METHODS = ("buildContainer", "createContainer")


@dataclass(frozen=True)
class _Build:
    """A recorded image build.

    :param digests: digests of its image indexes
    :param parents: build IDs of its parent images
    :param parent_digests: digests of its parent images
    :param is_base: whether it is an imported base image
    """

    id: int
    nvr: str
    complete: bool
    completed: float | None
    digests: frozenset[str]
    parents: frozenset[int]
    parent_digests: frozenset[str]
    is_base: bool

    @classmethod
    def of(cls, info: BuildInfo) -> _Build:
        image = image_metadata(info)
        recorded = RecordedImage.of(info)
        index_digest = {recorded.by_digest.digest} if recorded.by_digest else set()
        parents = image.get("parent_image_builds") or {}
        ids = {parent.get("id") for parent in parents.values() if isinstance(parent, Mapping)}
        return cls(
            id=int(info["build_id"]),
            nvr=printable_line(str(info["nvr"])),
            complete=info["state"] == koji.BUILD_STATES["COMPLETE"],
            completed=info.get("completion_ts"),
            digests=recorded.digests | index_digest,
            parents=frozenset(number for number in (*ids, image.get("parent_build_id")) if isinstance(number, int)),
            parent_digests=frozenset(filter(None, map(_digest, parents))),
            is_base="imported" in image,
        )


def _digest(pull_spec: object) -> str:
    try:
        return ImageReference.parse(str(pull_spec)).digest
    except UsageError:
        return ""


class KojiRecords:
    """Image records of a hub; implements ``Records`` of the model.

    Builds are read once; each call reads only new and unfinished ones. Tags are always read again.

    :param session: session to use; need not be logged in
    """

    def __init__(self, session: HubSession) -> None:
        self._session = session
        self._builds: dict[int, _Build] = {}

    def images(self, digests: Collection[str], young: float) -> Mapping[str, ImageRecord]:
        """Return the records of images; a build is needed if it is tagged, recent, a base image or a needed parent."""
        with hub_errors(self._session.baseurl):
            self._read()
            requested = set(digests)
            related = self._above(requested)
            needed = self._needed(related, young)
        builds_by_digest: dict[str, tuple[list[_Build], list[_Build]]] = defaultdict(lambda: ([], []))
        for build in related.values():
            for digest in requested & build.digests:
                builds_by_digest[digest][0].append(build)
            for digest in requested & build.parent_digests:
                builds_by_digest[digest][1].append(build)
        return {digest: _record(builds, users, needed) for digest, (builds, users) in builds_by_digest.items()}

    def tasks(self, ids: Collection[int]) -> Mapping[int, TaskRecord]:
        """Return the records of tasks by their IDs, omitting unknown tasks."""
        requested = sorted(set(ids))
        records: dict[int, TaskRecord] = {}
        with hub_errors(self._session.baseurl):
            for first in range(0, len(requested), MAX_CALLS):
                for info in self._session.getTaskInfo(requested[first : first + MAX_CALLS]):
                    if info:
                        records[info["id"]] = TaskRecord(
                            info["method"] in CONTAINER_METHODS, info["state"] in ENDED_STATES
                        )
        return records

    def _read(self) -> None:
        """Read the image builds: first all, later only new ones and the last page, which may have changed."""
        offset = max(0, len(self._builds) - PAGE_SIZE)
        while True:
            options: QueryOptions = {"order": "build_id", "limit": PAGE_SIZE, "offset": offset}
            page = self._session.listBuilds(type="image", queryOpts=options)
            self._builds.update({info["build_id"]: _Build.of(info) for info in page})
            if len(page) < PAGE_SIZE:
                return
            offset += PAGE_SIZE

    def _above(self, digests: set[str]) -> dict[int, _Build]:
        """Return the builds of some images, and all builds based on them, directly or indirectly."""
        by_parent: dict[int, list[_Build]] = defaultdict(list)
        for build in self._builds.values():
            for parent in build.parents:
                by_parent[parent].append(build)
        related: dict[int, _Build] = {}
        queue = [build for build in self._builds.values() if digests & (build.digests | build.parent_digests)]
        while queue:
            build = queue.pop()
            if build.id not in related:
                related[build.id] = build
                queue += by_parent[build.id]
        return related

    def _needed(self, builds: Mapping[int, _Build], young: float) -> dict[int, str]:
        """Return the IDs of the needed builds with the reason for each."""
        tags = self._tags([build.id for build in builds.values() if build.complete])
        needed: dict[int, str] = {}
        for build in builds.values():
            if not build.complete:
                continue
            if tags[build.id]:
                needed[build.id] = f"{build.nvr} has Koji tag {tags[build.id][0]}"
            elif build.is_base:
                needed[build.id] = f"{build.nvr} is an imported base image"
            elif build.completed is None or build.completed > young:
                needed[build.id] = f"{build.nvr} is newer than the retention period"
        queue = [builds[build_id] for build_id in needed]
        while queue:
            user = queue.pop()
            for build in builds.values():
                is_parent = build.id in user.parents or build.digests & user.parent_digests
                if is_parent and build.complete and build.id not in needed:
                    needed[build.id] = f"{user.nvr} is based on {build.nvr}"
                    queue.append(build)
        return needed

    def _tags(self, ids: Iterable[int]) -> dict[int, list[str]]:
        with self._session.multicall(strict=True, batch=MAX_CALLS) as multicall:
            calls = {build_id: multicall.listTags(build_id) for build_id in ids}
        return {build_id: [printable_line(str(tag["name"])) for tag in call.result] for build_id, call in calls.items()}


def _record(builds: Collection[_Build], users: Iterable[_Build], needed: Mapping[int, str]) -> ImageRecord:
    reasons = [needed[build.id] for build in builds if build.id in needed]
    reasons += [f"{user.nvr} is based on it" for user in users if user.id in needed]
    times = [build.completed for build in builds if build.completed is not None]
    return ImageRecord(tuple(build.nvr for build in builds), max(times, default=None), reasons[0] if reasons else "")
