# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolution of an argument to the task, build or package that it names."""

from __future__ import annotations

from dataclasses import dataclass

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.overview import PackageQuery
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.selection import ALL, Overview, Selection
from fedpkg_container.hub.tasks import result_or_none
from fedpkg_container.model.koji_types import BuildInfo, TaskInfo, TaskTree
from fedpkg_container.model.options import default_components
from fedpkg_container.text import printable_line


@dataclass(frozen=True)
class Found:
    """What a word names; a number may be the ID of a task and of a build.

    :param task: the task with its request, and ``tree``, its descendants
    :param package: builds of a package
    """

    task: TaskInfo | None = None
    tree: TaskTree | None = None
    build: BuildInfo | None = None
    package: Overview | None = None


def task_number(word: str) -> int | None:
    """Return the ID of a task or build; None if the word is not one."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else None


def find(session: HubSession, word: str, selection: Selection = ALL) -> Found:
    """Return what a word names, using one request, or for a package at most three.

    :param word: task ID, build ID, NVR, package name, or path of a repository
    :param selection: builds of a package
    :raises RefusedError: if there is no such task, build or package
    """
    number = task_number(word)
    if number is not None:
        with session.multicall(strict=False) as multicall:
            task = multicall.getTaskInfo(number, request=True)
            tree = multicall.getTaskDescendents(number)
            numbered = multicall.getBuild(number)
        result = Found(result_or_none(task), result_or_none(tree), result_or_none(numbered))
        if result.task is None and result.build is None:
            raise RefusedError(
                f"the hub has no task or build {number}", solution="pass a task ID, an NVR, a build ID or a package"
            )
        return result
    with session.multicall(strict=False) as multicall:
        build = multicall.getBuild(word) if "/" not in word else None
        query = PackageQuery(multicall, _components(word), word.removesuffix("-container"), selection)
    if info := result_or_none(build):
        return Found(build=info)
    package = query.overview(session)
    if package.is_empty and not selection.is_filter:
        raise RefusedError(
            f"the hub has no build or package {printable_line(word)}",
            solution="pass a task ID, an NVR, a build ID or a package (failed builds without an NVR: for a week)",
        )
    return Found(package=package)


def _components(word: str) -> list[str]:
    """Return the possible names of a package, given by its name, or by the name or path of its repository."""
    name = word.rpartition("/")[2]
    return [name] if name.endswith("-container") else list(reversed(default_components(name)))
