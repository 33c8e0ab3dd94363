# SPDX-License-Identifier: GPL-2.0-or-later
"""Earlier builds: the build of a commit, and the request of a task to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import koji

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.builds import Build, read_build
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.tasks import result_or_none
from fedpkg_container.model.build import BuildRequest
from fedpkg_container.model.koji_types import BuildInfo, TaskInfo
from fedpkg_container.model.options import repository_path, without_none

#: The query for running container builds, and their maximum number.
RUNNING = {
    "method": "buildContainer",
    "parent": None,
    "state": [koji.TASK_STATES[name] for name in ("FREE", "ASSIGNED", "OPEN")],
    "decode": True,
}
MAX_RUNNING = 200
#: States of a task whose request can be repeated.
REPEATABLE = ("FAILED", "CANCELED")


def builds_of_commit(listed: Sequence[BuildInfo], source: str) -> list[Build]:
    """Return the builds of a source URL's commit, newest first, without isolated ones.

    :param listed: complete builds of a package, newest first
    """
    path, commit = repository_path(source), source.rpartition("#")[2]
    builds = (read_build(info) for info in listed)
    return [
        build
        for build in builds
        if build.commit == commit and repository_path(build.source) == path and not build.is_isolated
    ]


def build_for_target(session: HubSession, builds: Sequence[Build], target: str) -> Build | None:
    """Return the first of some builds that was built for a target, using one request; None if there is none.

    A build whose task is unknown counts: it was imported.
    """
    if not builds:
        return None
    with session.multicall(strict=False) as multicall:
        calls = [multicall.getTaskInfo(build.task_id, request=True) if build.task_id else None for build in builds]
    tasks = map(result_or_none, calls)
    return next((build for build, task in zip(builds, tasks) if _target_of(task) in ("", target)), None)


def _target_of(task: TaskInfo | None) -> str:
    request = task.get("request") if isinstance(task, Mapping) else None
    return str(request[1]) if isinstance(request, (list, tuple)) and len(request) > 1 else ""


def is_repeated(task: TaskInfo, request: BuildRequest) -> bool:
    """Whether a task builds what a request describes: the same source and target, and not a scratch build.

    :param task: with its request
    """
    source, target, options = (*(task.get("request") or ()), None, None, None)[:3]
    is_scratch = isinstance(options, Mapping) and bool(options.get("scratch"))
    return (source, target, is_scratch) == (request.source, request.target, request.scratch)


def read_request(session: HubSession, task_id: int) -> BuildRequest:
    """Return the request of a task that failed or was canceled; for the task of an architecture, that of its build.

    :raises RefusedError: if there is no such task, it is not a container build, or it did not fail
    """
    task = session.getTaskInfo(task_id, request=True)
    if task and task["method"] == "createContainer" and task["parent"]:
        task = session.getTaskInfo(task["parent"], request=True)
    if not task:
        raise RefusedError(f"the hub has no task {task_id}", solution="pass the ID of a failed task")
    if task["method"] != "buildContainer":
        raise RefusedError(
            f"task {task_id} is not a container build", solution="pass the task ID of a failed container build"
        )
    state = koji.TASK_STATES[task["state"]]
    if state not in REPEATABLE:
        ended = "has completed" if state == "CLOSED" else "is still running"
        raise RefusedError(f"task {task['id']} {ended}", solution="only failed and canceled builds can be retried")
    request = task.get("request") or []
    source, target, options = (*request, None, None, None)[:3]
    priority = (task.get("priority") or koji.PRIO_DEFAULT) - koji.PRIO_DEFAULT
    return BuildRequest(
        str(source),
        str(target),
        without_none(options if isinstance(options, Mapping) else {}),
        priority if priority > 0 else None,
    )
