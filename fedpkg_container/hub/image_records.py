"""What a hub has recorded of images: the builds that they are, and whether anybody needs these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.errors import UsageError
from fedpkg_container.hub.reservation import ENDED
from fedpkg_container.hub.session import contact
from fedpkg_container.model.koji_images import Record, RecordedImage, TaskRecord, image_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.text import printable_line

#: Builds that are asked for in one request, and calls in one.
PAGE = 1000
BATCH = 200
#: Tasks that build containers, or one arch of one.
METHODS = ("buildContainer", "createContainer")


@dataclass(frozen=True)
class _Build:
    """A build of an image.

    :param digests: of its lists of arches
    :param parents: builds that it stands on, and digests of their images
    :param is_base: it was imported, to be built on
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
    def of(cls, info: Mapping[str, Any]) -> _Build:
        image = image_of(info)
        recorded = RecordedImage.of(info)
        exact = {recorded.by_digest.digest} if recorded.by_digest else set()
        parents = image.get("parent_image_builds") or {}
        ids = {each.get("id") for each in parents.values() if isinstance(each, Mapping)}
        return cls(
            id=int(info["build_id"]),
            nvr=printable_line(str(info["nvr"])),
            complete=info["state"] == koji.BUILD_STATES["COMPLETE"],
            completed=info.get("completion_ts"),
            digests=recorded.digests | exact,
            parents=frozenset(each for each in (*ids, image.get("parent_build_id")) if isinstance(each, int)),
            parent_digests=frozenset(filter(None, map(_digest, parents))),
            is_base="imported" in image,
        )


def _digest(pull_spec: object) -> str:
    try:
        return ImageReference.parse(str(pull_spec)).digest
    except UsageError:
        return ""


class KojiRecords:
    """What a hub has recorded; ``Records`` of the model.

    Builds are read once, and those that have been made since whenever it is asked. Tags are asked for every time.

    :param session: need not be logged in
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._builds: dict[int, _Build] = {}

    def images(self, digests: Collection[str], young: float) -> Mapping[str, Record]:
        """What Koji says of some images; a build is needed that is in a tag, is young, is a base, or is built on."""
        with contact(self._session.baseurl):
            self._read()
            asked = set(digests)
            above = self._above(asked)
            needed = self._needed(above, young)
        found: dict[str, tuple[list[_Build], list[_Build]]] = defaultdict(lambda: ([], []))
        for each in above.values():
            for digest in asked & each.digests:
                found[digest][0].append(each)
            for digest in asked & each.parent_digests:
                found[digest][1].append(each)
        return {digest: _record(builds, users, needed) for digest, (builds, users) in found.items()}

    def tasks(self, ids: Collection[int]) -> Mapping[int, TaskRecord]:
        """Some tasks; those that it does not know are left out."""
        asked = sorted(set(ids))
        found: dict[int, TaskRecord] = {}
        with contact(self._session.baseurl):
            for first in range(0, len(asked), BATCH):
                for info in self._session.getTaskInfo(asked[first : first + BATCH]):
                    if info:
                        found[info["id"]] = TaskRecord(info["method"] in METHODS, info["state"] in ENDED)
        return found

    def _read(self) -> None:
        """The builds of images: all of them, or those after the newest that is known, and those that were not done."""
        offset = max(0, len(self._builds) - PAGE)
        while True:
            options = {"order": "build_id", "limit": PAGE, "offset": offset}
            page = self._session.listBuilds(type="image", queryOpts=options)
            self._builds.update({each["build_id"]: _Build.of(each) for each in page})
            if len(page) < PAGE:
                return
            offset += PAGE

    def _above(self, digests: set[str]) -> dict[int, _Build]:
        """The builds of some images, and all builds that stand on them, over whatever is between."""
        by_parent: dict[int, list[_Build]] = defaultdict(list)
        for each in self._builds.values():
            for parent in each.parents:
                by_parent[parent].append(each)
        found: dict[int, _Build] = {}
        waiting = [each for each in self._builds.values() if digests & (each.digests | each.parent_digests)]
        while waiting:
            build = waiting.pop()
            if build.id not in found:
                found[build.id] = build
                waiting += by_parent[build.id]
        return found

    def _needed(self, builds: Mapping[int, _Build], young: float) -> dict[int, str]:
        """Which of some builds are needed, and why."""
        tags = self._tags([each.id for each in builds.values() if each.complete])
        needed: dict[int, str] = {}
        for each in builds.values():
            if not each.complete:
                continue
            if tags[each.id]:
                needed[each.id] = f"{each.nvr} is in tag {tags[each.id][0]}"
            elif each.is_base:
                needed[each.id] = f"{each.nvr} is a base image of Koji"
            elif each.completed is None or each.completed > young:
                needed[each.id] = f"{each.nvr} is young"
        waiting = [builds[each] for each in needed]
        while waiting:
            user = waiting.pop()
            for each in builds.values():
                below = each.id in user.parents or each.digests & user.parent_digests
                if below and each.complete and each.id not in needed:
                    needed[each.id] = f"{user.nvr} stands on {each.nvr}"
                    waiting.append(each)
        return needed

    def _tags(self, ids: Iterable[int]) -> dict[int, list[str]]:
        with self._session.multicall(strict=True, batch=BATCH) as calls:
            answers = {each: calls.listTags(each) for each in ids}
        return {each: [printable_line(str(tag["name"])) for tag in call.result] for each, call in answers.items()}


def _record(builds: Collection[_Build], users: Iterable[_Build], needed: Mapping[int, str]) -> Record:
    reasons = [needed[each.id] for each in builds if each.id in needed]
    reasons += [f"{each.nvr} stands on it" for each in users if each.id in needed]
    times = [each.completed for each in builds if each.completed is not None]
    return Record(tuple(each.nvr for each in builds), max(times, default=None), reasons[0] if reasons else "")
