# SPDX-License-Identifier: GPL-2.0-or-later
"""Staging repositories, which hold the images of each architecture until a build is published, and their cleanup.

Each build has its own: a registry deletes all tags of a digest, so a shared repository would lose other builds' images.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fedpkg_container.model.koji_images import ImageRecords
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.pages import repositories
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry

_log = logging.getLogger(__name__)

#: First component of the names of staging repositories; reserved.
STAGING = "staging"
#: Number of concurrent requests.
PARALLEL = 8
_TASK = re.compile(rf"{STAGING}/task-(?P<task>[0-9]{{1,18}})")


@dataclass(frozen=True)
class Staged:
    """A staging repository that is not empty.

    :param tags: number of tags
    :param ended: whether its task has ended; None if Koji does not know the task
    """

    repository: str
    task_id: int
    tags: int
    ended: bool | None


def staging_repository(task_id: int) -> str:
    """Return the name of the staging repository of a build task."""
    return f"{STAGING}/task-{task_id}"


def is_staging(repository: str) -> bool:
    """Return whether a repository is a staging repository."""
    return repository.partition("/")[0] == STAGING


def empty_staging(registry: Registry, reference: ImageReference) -> int:
    """Delete everything in a staging repository; return the number of deleted manifests."""
    with registry.repository(reference) as repository:
        return delete_manifests(repository)


def delete_manifests(repository: Repository) -> int:
    """Delete all tagged manifests of a repository; return their number."""
    digests = dict.fromkeys(repository.head(tag) for tag in repository.tags())
    _log.debug("deleting %d manifests in %s", len(digests), repository.reference)
    return sum(repository.delete_manifest(digest) for digest in digests if digest)


def list_staged(candidates: Iterable[Repository], records: ImageRecords) -> list[Staged]:
    """Return the non-empty ones of some staging repositories.

    :raises LostContactError: if Koji cannot be reached
    """
    matches = {candidate: _TASK.fullmatch(candidate.name) for candidate in candidates}
    tasks = {repository: int(match["task"]) for repository, match in matches.items() if match}
    with ThreadPoolExecutor(PARALLEL) as pool:
        tags = dict(zip(tasks, pool.map(lambda repository: sum(1 for _ in repository.tags()), tasks)))
    filled = {repository: task for repository, task in tasks.items() if tags[repository]}
    task_records = records.tasks(filled.values())
    return [
        Staged(repository.name, task, tags[repository], task_records[task].ended if task in task_records else None)
        for repository, task in filled.items()
    ]


def prune_staging(registry: Registry, host: str, records: ImageRecords) -> int:
    """Empty the staging repositories of all builds whose task has ended; return the number of deleted manifests.

    :param host: the registry
    """
    with registry.http(host) as http:
        candidates = {name: Repository(http, name) for name in repositories(http)}
        staged_repositories = list_staged(candidates.values(), records)
        return sum(delete_manifests(candidates[staged.repository]) for staged in staged_repositories if staged.ended)
