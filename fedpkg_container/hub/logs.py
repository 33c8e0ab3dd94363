"""Logs of a tree of tasks: what is in them, and how far each has been read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fedpkg_container.hub.events import (
    TaskState,
)
from fedpkg_container.hub.tasks import task_state
from fedpkg_container.text import LineSplitter, printable, printable_line

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


#: Bytes of one log that are read in one request: at first, and when more is waiting.
CHUNK = 256 * 1024


LARGEST_CHUNK = 4 * 1024 * 1024


#: Answers without content after which a log is taken to be at its end, whatever was said of its size.
EMPTY_ANSWERS = 3


class Log:
    """One log."""

    def __init__(self) -> None:
        self.offset = 0
        self.size = 0
        #: Bytes to read next time: more while more comes than was asked for.
        self.chunk = CHUNK
        #: The last answer brought all that was asked for: there is more.
        self.is_full = False
        self._begins_anew = False
        self._empty = 0
        self._splitter = LineSplitter()

    def expect_anew(self) -> None:
        """The log's task has begun again: when the log becomes shorter, it was begun anew as well."""
        self._begins_anew = True

    def resize(self, size: int) -> None:
        """Note how long the log is.

        One that becomes shorter without reason does so on a hub with several front ends, for a moment.
        """
        if size < self.offset and self._begins_anew:
            self.offset, self.size, self._splitter = 0, 0, LineSplitter()
            self._begins_anew = False
        self.size = max(self.size, size)

    @property
    def is_behind(self) -> bool:
        """Whether more is known to be there than was read."""
        return self.offset < self.size

    def add(self, content: bytes, asked: int) -> tuple[str, ...]:
        """The lines that this part completes.

        :param asked: bytes that were asked for
        """
        self._empty = 0 if content else self._empty + 1
        if self._empty >= EMPTY_ANSWERS:
            self.size = self.offset
        self.is_full = len(content) >= asked
        self.chunk = min(self.chunk * 2, LARGEST_CHUNK) if self.is_full else CHUNK
        self.offset += len(content)
        return shown(self._splitter.add(content))

    def give_up(self) -> None:
        """Take what was read for all there is."""
        self.size = self.offset

    def rest(self) -> tuple[str, ...]:
        """What is left without a newline at the end of the log."""
        return shown(self._splitter.flush())


def shown(lines: list[bytes]) -> tuple[str, ...]:
    """Lines as they may be shown; a progress bar's carriage returns leave only what was seen last."""
    if not lines:
        return ()
    text = b"\n".join(lines).decode(errors="replace")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return tuple(printable(text).split("\n"))
