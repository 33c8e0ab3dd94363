"""Staging: the repositories where the arches of a build wait, and their emptying.

Every build has one of its own, so that deleting by digest (a registry deletes every tag of a digest) takes nothing
from another build.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fedpkg_container.model.koji_images import ImageRecords
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.repository import Repository, repositories
from fedpkg_container.registry.skopeo import Registry

#: The first part of the names of staging repositories; no image may be called so.
STAGING = "staging"
#: Requests at the same time.
PARALLEL = 8
_TASK = re.compile(rf"{STAGING}/task-(?P<task>[0-9]{{1,18}})")


@dataclass(frozen=True)
class Staged:
    """A staging repository that is not empty.

    :param tags: how many it has
    :param ended: whether its task has ended; None when Koji does not know the task
    """

    repository: str
    task_id: int
    tags: int
    ended: bool | None


def staging_repository(task_id: int) -> str:
    """The staging repository of a build's task."""
    return f"{STAGING}/task-{task_id}"


def is_staging(repository: str) -> bool:
    """Whether a repository is one where arches of builds wait."""
    return repository.partition("/")[0] == STAGING


def empty(registry: Registry, reference: ImageReference) -> int:
    """Delete everything in a staging repository; returns how many manifests that were."""
    with registry.repository(reference) as repository:
        return clear(repository)


def clear(repository: Repository) -> int:
    """Delete everything that has a tag in a repository; returns how many manifests that were."""
    digests = dict.fromkeys(repository.head(tag) for tag in repository.tags())
    return sum(repository.delete_manifest(digest) for digest in digests if digest)


def staged(places: Iterable[Repository], records: ImageRecords) -> list[Staged]:
    """Those of some repositories in which something is staged.

    :raises LostContactError: Koji cannot be reached
    """
    found = {each: _TASK.fullmatch(each.name) for each in places}
    tasks = {each: int(match["task"]) for each, match in found.items() if match}
    with ThreadPoolExecutor(PARALLEL) as pool:
        tags = dict(zip(tasks, pool.map(lambda each: sum(1 for _ in each.tags()), tasks)))
    filled = {each: task for each, task in tasks.items() if tags[each]}
    known = records.tasks(filled.values())
    return [
        Staged(each.name, task, tags[each], known[task].ended if task in known else None)
        for each, task in filled.items()
    ]


def prune(registry: Registry, host: str, records: ImageRecords) -> int:
    """Empty the staging repositories of all builds whose task has ended; returns how many manifests were deleted.

    :param host: the registry
    """
    with registry.http(host) as http:
        places = {name: Repository(http, name) for name in repositories(http)}
        found = staged(places.values(), records)
        return sum(clear(places[each.repository]) for each in found if each.ended)
