# SPDX-License-Identifier: GPL-2.0-or-later
"""State and outcome of tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import koji

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.hub.events import Finished, TaskState
from fedpkg_container.hub.protocol import Call, HubSession
from fedpkg_container.model.build import BuildResult
from fedpkg_container.model.koji_types import TaskInfo
from fedpkg_container.text import printable, printable_line

Result = TypeVar("Result")


def read_outcome(
    session: HubSession, root: TaskState, tasks: Sequence[TaskState], logs: Sequence[tuple[int, str]]
) -> Finished:
    """Return the outcome of a task tree that has ended.

    :param tasks: all tasks of the tree
    :param logs: task ID and name of every log
    """
    if root.state == "CANCELED":
        return Finished(root)
    if root.state == "FAILED":
        first = first_failed(root, tasks)
        with session.multicall(strict=False) as multicall:
            calls = [multicall.getTaskResult(task.id, raise_fault=False) for task in (first, root)]
        return failed_outcome(root, first, list(map(result_or_none, calls)), logs)
    with session.multicall(strict=False) as multicall:
        call = multicall.getTaskResult(root.id)
    result = BuildResult.read(result_or_none(call))
    with session.multicall(strict=False) as multicall:
        builds = [multicall.getBuild(build) for build in result.builds]
    return Finished(root, result, builds=[build for build in map(result_or_none, builds) if build])


def first_failed(root: TaskState, tasks: Sequence[TaskState]) -> TaskState:
    """Return the descendant of a failed task that failed first, or else the task itself.

    :param tasks: all tasks of the tree
    """
    failed = [task for task in tasks if task.state == "FAILED" and task.id != root.id]
    return min(failed, key=lambda task: (task.completed or math.inf, task.id), default=root)


def failed_outcome(
    root: TaskState, first: TaskState, results: Sequence[object], logs: Sequence[tuple[int, str]]
) -> Finished:
    """Return the outcome of a task tree that has failed.

    :param first: result of ``first_failed``
    :param results: results of ``getTaskResult`` with ``raise_fault=False``; the first fault is used
    :param logs: task ID and name of every log
    """
    fault = next((fault for result in results if (fault := fault_of(result))), "")
    names = tuple(printable_line(name) for task_id, name in logs if task_id == first.id)
    return Finished(root, fault=fault, failed=first, logs=names)


def result_or_none(call: Call[Result] | None) -> Result | None:
    """Return the result of a call in a multicall; None if the hub refused it, or there was no call."""
    try:
        return None if call is None else call.result
    except koji.GenericError:
        return None


def refusal(call: Call[object]) -> str:
    """Return the reason why the hub refused a call in a multicall; empty if it did not refuse it."""
    try:
        _ = call.result
    except koji.GenericError as error:
        return printable(str(error))
    return ""


def task_state(info: TaskInfo, host: str) -> TaskState:
    """Parse a task as returned by ``getTaskInfo``."""
    return TaskState(
        id=info["id"],
        parent=info["parent"],
        method=printable_line(info["method"]),
        label=printable_line(info["label"] or (info["arch"] if info["parent"] else "")),
        state=koji.TASK_STATES[info["state"]],
        host=host,
        has_host=info["host_id"] is not None,
        created=info.get("create_ts"),
        started=info.get("start_ts"),
        completed=info.get("completion_ts"),
        arch=printable_line(info.get("arch") or "noarch"),
        channel=info.get("channel_id"),
    )


def ended_tasks(session: HubSession, ids: Iterable[int]) -> set[int]:
    """Return which of some tasks have ended or do not exist."""
    tasks = list(ids)
    running = {koji.TASK_STATES[name] for name in ("FREE", "OPEN", "ASSIGNED")}
    with session.multicall(strict=True) as multicall:
        calls = [multicall.getTaskInfo(task) for task in tasks]
    infos = [call.result for call in calls]
    return {task for task, info in zip(tasks, infos) if not info or info["state"] not in running}


def fault_of(result: object) -> str:
    """Return the message of a fault that was returned as the result of a task; empty if it is not a fault."""
    fault = result.get("faultString") if isinstance(result, Mapping) else None
    return fault_message(str(fault)) if fault else ""


def fault_message(fault: str) -> str:
    """Return the message of a fault, or the last line of a traceback that a hub sent as the message."""
    lines = [line for line in printable(fault).strip().splitlines() if line.strip()]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1].strip()
    return " ".join(line.strip() for line in lines)


def first_failure(session: HubSession, ids: Sequence[int]) -> BuildFailedError | None:
    """Return the error of the first task that failed, of tasks for one architecture each; None if all succeeded.

    Canceled tasks only count if none failed: if one fails, the others are canceled.
    """

    tasks = [task for task in session.getTaskInfo(list(ids)) if task]
    failed = [task for task in tasks if task["state"] == koji.TASK_STATES["FAILED"]]
    canceled = [task for task in tasks if task["state"] == koji.TASK_STATES["CANCELED"]]
    first = min(failed or canceled, key=lambda task: (task["completion_ts"] or math.inf, task["id"]), default=None)
    if first is None:
        return None
    if not failed:
        return BuildFailedError(f"the build for {first['arch']} (task {first['id']}) was canceled")
    fault = session.getTaskResult(first["id"], raise_fault=False)
    message = str(fault.get("faultString", "")) if isinstance(fault, Mapping) else ""
    reason = fault_message(message) or f"task {first['id']} failed"
    return BuildFailedError(reason if first["arch"] in reason else f"{first['arch']}: {reason}")
