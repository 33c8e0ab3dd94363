"""Tasks: their state, how they ended, their trees and their logs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import koji

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.hub.events import Finished, TaskState
from fedpkg_container.model.build import BuildResult
from fedpkg_container.text import printable, printable_line


def finished(session: Any, root: TaskState, tasks: Sequence[TaskState], logs: Sequence[tuple[int, str]]) -> Finished:
    """How a tree of tasks has ended.

    :param tasks: all of the tree
    :param logs: task and name of every log
    """
    if root.state == "CANCELED":
        return Finished(root)
    if root.state == "FAILED":
        below = [task for task in tasks if task.state == "FAILED" and task.id != root.id]
        first = min(below, key=lambda task: (task.completed or math.inf, task.id), default=root)
        names = tuple(printable_line(name) for task_id, name in logs if task_id == first.id)
        return Finished(root, fault=_fault(session, first, root), failed=first, logs=names)
    with session.multicall(strict=False) as multicall:
        answer = multicall.getTaskResult(root.id)
    result = BuildResult.read(optional(answer))
    with session.multicall(strict=False) as multicall:
        calls = [multicall.getBuild(build) for build in result.builds]
    return Finished(root, result, builds=[build for build in map(optional, calls) if build])


def _fault(session: Any, *tasks: TaskState) -> str:
    """What went wrong in the first of some tasks that says it."""
    with session.multicall(strict=False) as multicall:
        calls = [multicall.getTaskResult(task.id, raise_fault=False) for task in tasks]
    faults = [answer for answer in map(optional, calls) if isinstance(answer, Mapping) and answer.get("faultString")]
    return one_sentence(str(faults[0]["faultString"])) if faults else ""


def optional(call: Any) -> Any:
    """An answer in a multicall that is nice to have; None where the hub refuses it, or nothing was asked."""
    try:
        return None if call is None else call.result
    except koji.GenericError:
        return None


def task_state(info: Mapping[str, Any], host: str) -> TaskState:
    """A task as the hub's ``getTaskInfo`` tells it."""
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


def one_sentence(fault: str) -> str:
    """What a fault says: its text, or the last line of the traceback that a hub sends as text."""
    lines = [line for line in printable(fault).strip().splitlines() if line.strip()]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1].strip()
    return " ".join(line.strip() for line in lines)


def first_failure(session: Any, ids: Sequence[int]) -> BuildFailedError | None:
    """What went wrong first in some tasks, each of one arch; None when all went well.

    Tasks that were canceled count where none failed: when one fails, the others are canceled.
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
    reason = one_sentence(str(fault.get("faultString", ""))) or f"task {first['id']} failed"
    return BuildFailedError(reason if first["arch"] in reason else f"{first['arch']}: {reason}")
