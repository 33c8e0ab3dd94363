"""A tree of tasks as it is now, and its logs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.logs import LARGEST_CHUNK, Log, shown
from fedpkg_container.hub.tasks import task_state
from fedpkg_container.text import printable_line

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
