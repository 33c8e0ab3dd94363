"""Tasks: their state, how they ended, their trees and their logs."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.hub.events import Finished, TaskState
from fedpkg_container.hub.follow import LARGEST_CHUNK, Log, shown
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


#: Bytes that are read from the end of a log at first, for its last lines.
TAIL = 64 * 1024


@dataclass(frozen=True)
class TaskLog:
    """A log of a task; ``size`` is in bytes."""

    task: TaskState
    name: str
    size: int


def read_tree(session: Any, task_id: int) -> tuple[list[TaskState], list[TaskLog]]:
    """The tasks of a tree, the root first, and their logs: two requests.

    :raises koji.GenericError: there is no such task
    """
    with session.multicall() as multicall:
        root = multicall.getTaskInfo(task_id, strict=True)
        tree = multicall.getTaskDescendents(task_id)
    infos = {info["id"]: info for group in tree.result.values() for info in group if info["id"] != task_id}
    listed = [root.result, *(infos[each] for each in sorted(infos))]
    with session.multicall(strict=False) as multicall:
        hosts = {info["host_id"]: multicall.getHost(info["host_id"]) for info in listed if info["host_id"] is not None}
        files = [multicall.listTaskOutput(info["id"], stat=True) for info in listed]
    names = {host: printable_line(call.result["name"]) for host, call in hosts.items() if call.result}
    tasks = [task_state(info, names.get(info["host_id"], "")) for info in listed]
    logs = [
        TaskLog(task, name, int(facts["st_size"]))
        for task, call in zip(tasks, files)
        for name, facts in sorted(call.result.items())
        if name.endswith(".log")
    ]
    return tasks, logs


def read_log(session: Any, log: TaskLog) -> Iterator[tuple[str, ...]]:
    """The lines of a log as far as it goes now, in parts that come with one request each."""
    reader = Log()
    reader.chunk = LARGEST_CHUNK
    reader.resize(log.size)
    while reader.is_behind:
        content = _part(session, log, reader.offset, LARGEST_CHUNK)
        if not content:
            break
        yield reader.add(content, LARGEST_CHUNK)
    yield reader.rest()


def last_lines(session: Any, log: TaskLog, number: int) -> tuple[str, ...]:
    """The last lines of a log, read from its end in parts."""
    if not number:
        return ()
    content, offset, part = b"", log.size, TAIL
    while offset > 0 and content.rstrip(b"\n").count(b"\n") < number:
        size = min(part, offset)
        offset -= size
        content = _part(session, log, offset, size) + content
        part = min(part * 4, LARGEST_CHUNK)
    return shown(content.removesuffix(b"\n").split(b"\n")[-number:]) if content else ()


def _part(session: Any, log: TaskLog, offset: int, size: int) -> bytes:
    content = session.downloadTaskOutput(log.task.id, log.name, offset, size)
    return content if isinstance(content, bytes) else base64.b64decode(content)
