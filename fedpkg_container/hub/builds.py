# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds recorded by a hub."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import koji

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.requested_builds import (
    FailedStep,
    branch_of,
    failed_step,
    is_of,
    repository_of,
    source_of,
    target_of,
    title_of,
)
from fedpkg_container.hub.tasks import fault_of, result_or_none
from fedpkg_container.model.json_values import is_id, items, mapping
from fedpkg_container.model.koji_images import image_metadata
from fedpkg_container.model.koji_types import BuildInfo, ParentBuild, TagInfo, TaskInfo
from fedpkg_container.model.options import default_components
from fedpkg_container.text import printable_line

#: Maximum number of builds to query.
MAX_BUILDS = 30


@dataclass(frozen=True)
class Build:
    """A recorded build.

    :param state: COMPLETE, BUILDING, FAILED, CANCELED or DELETED
    :param created: creation time, seconds since the epoch, as is ``completed``; None if unknown
    :param source: source URL with the commit
    :param branch: dist-git branch; empty if unknown
    :param pull_specs: pull specs by tag and by digest
    :param parents: image as in FROM or by digest → ID and NVR of its build
    :param parent_id: build ID of the base image; None if it is not a build of this hub
    :param fault: error message of its task, one sentence, if that failed
    :param target: build target; empty if unknown
    """

    id: int
    nvr: str
    name: str
    state: str
    owner: str
    created: float | None
    completed: float | None
    source: str
    task_id: int | None
    branch: str = ""
    tags: tuple[str, ...] = ()
    pull_specs: tuple[str, ...] = ()
    is_isolated: bool = False
    parents: Mapping[str, ParentBuild] = field(default_factory=dict)
    parent_id: int | None = None
    fault: str = ""
    target: str = ""

    @property
    def step(self) -> FailedStep | None:
        """The instruction that failed, if the error message names it."""
        return failed_step(self.fault)

    @property
    def commit(self) -> str:
        """The dist-git commit; empty if unknown."""
        return self.source.rpartition("#")[2] if "#" in self.source else ""


def read_build(
    info: BuildInfo,
    *,
    task: TaskInfo | None = None,
    requester: str = "",
    tags: Sequence[TagInfo] = (),
    result: object = None,
) -> Build:
    """Parse a build as returned by the hub (``getBuild``, ``listBuilds``).

    :param task: its task with the request
    :param requester: owner of its task; until the import, the owner of the build is the site's shared account
    :param tags: result of ``listTags``
    :param result: result of its task, from ``getTaskResult`` with ``raise_fault=False``
    """
    extra, image = mapping(info.get("extra")), image_metadata(info)
    pull = items(mapping(image.get("index")).get("pull"))
    parents, parent_id = mapping(image.get("parent_image_builds")), image.get("parent_build_id")
    return Build(
        id=int(info.get("build_id") or info["id"]),
        nvr=printable_line(info["nvr"]),
        name=printable_line(info.get("package_name") or info["name"]),
        state=koji.BUILD_STATES[info["state"]],
        owner=printable_line(str(extra.get("submitter") or requester or info.get("owner_name") or "")),
        created=info.get("creation_ts"),
        completed=info.get("completion_ts"),
        source=printable_line(info.get("source") or ""),
        task_id=task_of(info),
        branch=printable_line(branch_of(task)),
        tags=tuple(printable_line(tag["name"]) for tag in tags),
        pull_specs=tuple(printable_line(str(spec)) for spec in pull),
        is_isolated=bool(image.get("isolated")),
        parents={
            printable_line(str(name)): parent for name, parent in parents.items() if is_id(mapping(parent).get("id"))
        },
        parent_id=parent_id if is_id(parent_id) else None,
        fault=fault_of(result),
        target=printable_line(target_of(task)),
    )


def requester_of(info: BuildInfo, task: TaskInfo | None) -> int | None:
    """Return the ID of the user who requested a build, from its task; None if the build names the user or has no task.

    :param task: result of ``getTaskInfo``
    """
    submitter = mapping(info.get("extra")).get("submitter")
    return task.get("owner") if isinstance(task, Mapping) and not submitter else None


def task_of(info: BuildInfo) -> int | None:
    """Return the task that created or reserved a build."""
    task = info.get("task_id") or mapping(info.get("extra")).get("container_koji_task_id")
    return task if is_id(task) else None


def valid_average(average: object) -> float | None:
    """Validate the hub's average build duration of a package; None if it has no usable value.

    :returns: seconds, at least 1
    """
    return float(average) if isinstance(average, (int, float)) and 1 <= average < math.inf else None


def title_and_average(session: HubSession, task_id: int, components: Mapping[str, str]) -> tuple[str, float | None]:
    """Return the title of the build of a task, and the average duration of builds of its package in seconds.

    If the hub has no such task, the title is empty. An unknown average is returned as None.

    :param components: repository (``container/hello``) → package, where it is known; otherwise ``NAME-container``
    """
    task = session.getTaskInfo(task_id, request=True)
    title = title_of(task) if task else ""
    repository = repository_of(source_of(task))
    if not repository:
        return title, None
    component = next((name for path, name in components.items() if is_of(task, path)), None)
    average = session.getAverageBuildDuration(component or default_components(repository)[1])
    return title, valid_average(average)


def build_of_task(session: HubSession, task_id: int) -> BuildInfo | None:
    """Return the build created by a task; None if there is none."""
    builds = session.listBuilds(taskID=task_id)
    return builds[0] if builds else None


def find_build(session: HubSession, word: str) -> BuildInfo:
    """Return the build identified by an NVR, a build ID, or the ID of the task that created it.

    :raises RefusedError: if there is none
    """
    task, build = find_task_or_build(session, word)
    if build is None and task is not None:
        build = build_of_task(session, task["id"])
    if build is None:
        raise RefusedError(f"task {printable_line(word)} created no build", solution="pass the NVR or ID of a build")
    return build


def find_task_or_build(session: HubSession, word: str) -> tuple[TaskInfo | None, BuildInfo | None]:
    """Return the task and the build identified by a task ID, build ID or NVR, using one request; None if not found.

    :raises RefusedError: if there is neither
    """
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else None
    with session.multicall(strict=False) as multicall:
        task = multicall.getTaskInfo(number) if number is not None else None
        build = multicall.getBuild(word if number is None else number)
    result = result_or_none(task), result_or_none(build)
    if result == (None, None):
        what = f"no task or build {number}" if number is not None else f"no build {printable_line(word)}"
        raise RefusedError(f"the hub has {what}", solution="pass a task ID, an NVR or a build ID")
    return result
