"""Staging: the repositories where the arches of a build wait, and their emptying.

Every build has one of its own, so that deleting by digest (a registry deletes every tag of a digest) takes nothing
from another build.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.registry import Registry

#: The first part of the names of staging repositories; no image may be called so.
STAGING = "staging"
_TASK = re.compile(rf"{STAGING}/task-(?P<task>\d+)")


def staging_repository(task_id: int) -> str:
    """The staging repository of a build's task."""
    return f"{STAGING}/task-{task_id}"


def empty(registry: Registry, reference: ImageReference) -> int:
    """Delete everything in a staging repository; returns how many manifests that were."""
    with registry.repository(reference) as repository:
        digests = dict.fromkeys(repository.head(tag) for tag in repository.tags())
        return sum(repository.delete_manifest(digest) for digest in digests if digest)


def prune(registry: Registry, host: str, is_active: Callable[[int], bool]) -> int:
    """Empty the staging repositories of all builds whose task has ended; returns how many manifests were deleted.

    :param host: the registry
    :param is_active: whether a task may still need what it staged
    """
    deleted = 0
    for name in registry.repositories(host):
        found = _TASK.fullmatch(name)
        if found and not is_active(int(found["task"])):
            deleted += empty(registry, ImageReference(host, name))
    return deleted
