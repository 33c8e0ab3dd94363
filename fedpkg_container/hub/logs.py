# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading the logs of a task tree incrementally, completely, or from their ends."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.tasks import task_state
from fedpkg_container.model.koji_types import FileInfo
from fedpkg_container.text import LineSplitter, printable, printable_line

#: Bytes to read from the end of a log at first, for its last lines.
TAIL = 64 * 1024
#: Start of the line that states why a pod has not started (``cluster/following.py``), and the size limit of a log that
#: may end with it, bytes.
WAITING, WAITING_SIZE = "waiting: ", 64 * 1024


@dataclass(frozen=True)
class TaskLog:
    """A log of a task.

    :param size: size in bytes
    """

    task: TaskState
    name: str
    size: int

    def last_part(self) -> tuple[int, int]:
        """Return offset and size, in bytes, of the part of the log that contains its last line."""
        size = min(self.size, TAIL)
        return self.size - size, size


def task_logs(tasks: Sequence[TaskState], files: Sequence[Mapping[str, FileInfo]]) -> list[TaskLog]:
    """Return the logs of tasks.

    :param files: result of ``listTaskOutput`` for each task
    """
    return [
        TaskLog(task, name, int(stat["st_size"]))
        for task, output in zip(tasks, files)
        for name, stat in sorted(output.items())
        if name.endswith(".log")
    ]


def read_tree(session: HubSession, task_id: int) -> tuple[list[TaskState], list[TaskLog]]:
    """Return the tasks of a tree, root first, and their logs, using two requests.

    :raises koji.GenericError: if there is no such task
    """
    with session.multicall() as multicall:
        root = multicall.getTaskInfo(task_id, strict=True)
        tree = multicall.getTaskDescendents(task_id)
    descendants = {info["id"]: info for group in tree.result.values() for info in group if info["id"] != task_id}
    infos = [root.result, *(descendants[number] for number in sorted(descendants))]
    with session.multicall(strict=False) as multicall:
        hosts = {info["host_id"]: multicall.getHost(info["host_id"]) for info in infos if info["host_id"] is not None}
        files = [multicall.listTaskOutput(info["id"], stat=True) for info in infos]
    names = {host_id: printable_line(host["name"]) for host_id, call in hosts.items() if (host := call.result)}
    tasks = [task_state(info, names.get(info["host_id"] or 0, "")) for info in infos]
    return tasks, task_logs(tasks, [call.result for call in files])


def read_log(session: HubSession, log: TaskLog) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a log up to its current end, in chunks of one request each."""
    reader = LogReader()
    reader.chunk = MAX_CHUNK
    reader.resize(log.size)
    while reader.is_behind:
        content = _part(session, log, reader.offset, MAX_CHUNK)
        if not content:
            break
        yield reader.add(content, MAX_CHUNK)
    yield reader.rest()


def last_lines(session: HubSession, log: TaskLog, number: int) -> tuple[str, ...]:
    """Return the last lines of a log, reading backwards from its end."""
    if not number:
        return ()
    content, offset, part = b"", log.size, TAIL
    while offset > 0 and content.rstrip(b"\n").count(b"\n") < number:
        size = min(part, offset)
        offset -= size
        content = _part(session, log, offset, size) + content
        part = min(part * 4, MAX_CHUNK)
    return displayable_lines(content.removesuffix(b"\n").split(b"\n")[-number:]) if content else ()


def pod_logs(logs: Iterable[TaskLog]) -> list[TaskLog]:
    """Return the logs that may end with the reason why a pod has not started; such logs are short."""
    return [
        log
        for log in logs
        if log.task.method == "createContainer" and log.task.state == "OPEN" and 0 < log.size <= WAITING_SIZE
    ]


def waiting_reason(content: str) -> str:
    """Return the reason why a pod has not started, from the last line of its log; empty if it states none.

    :param content: the end of the log, in Base64
    """
    lines = displayable_lines(base64.b64decode(content).removesuffix(b"\n").split(b"\n")[-1:])
    return lines[-1][len(WAITING) :] if lines and lines[-1].startswith(WAITING) else ""


def _part(session: HubSession, log: TaskLog, offset: int, size: int) -> bytes:
    content = session.downloadTaskOutput(log.task.id, log.name, offset, size)
    return content if isinstance(content, bytes) else base64.b64decode(content)


#: Bytes of one log to read per request: initially, and at most, if there is more.
CHUNK = 256 * 1024
MAX_CHUNK = 4 * 1024 * 1024
#: Number of consecutive empty responses after which a log is taken as complete, whatever its reported size.
MAX_EMPTY_RESPONSES = 3


class LogReader:
    """Incremental reader of one log."""

    def __init__(self) -> None:
        self.offset = 0
        self.size = 0
        #: Bytes to read with the next request; grows while responses are full.
        self.chunk = CHUNK
        #: Whether the last response had the requested size, i.e. there may be more.
        self.is_full = False
        self._may_restart = False
        self._empty = 0
        self._splitter = LineSplitter()

    def expect_restart(self) -> None:
        """Note that the task was restarted: if the log becomes shorter, it was restarted, too."""
        self._may_restart = True

    def resize(self, size: int) -> None:
        """Note the current size of the log.

        Without a restart, a smaller size is ignored: hubs with several front ends may report one temporarily.
        """
        if size < self.offset and self._may_restart:
            self.offset, self.size, self._splitter = 0, 0, LineSplitter()
            self._may_restart = False
        self.size = max(self.size, size)

    @property
    def is_behind(self) -> bool:
        """Whether part of the log has not been read yet."""
        return self.offset < self.size

    def add(self, content: bytes, requested: int) -> tuple[str, ...]:
        """Add a chunk and return the lines that it completes.

        :param requested: number of bytes requested
        """
        self._empty = 0 if content else self._empty + 1
        if self._empty >= MAX_EMPTY_RESPONSES:
            self.size = self.offset
        self.is_full = len(content) >= requested
        self.chunk = min(self.chunk * 2, MAX_CHUNK) if self.is_full else CHUNK
        self.offset += len(content)
        return displayable_lines(self._splitter.add(content))

    def mark_complete(self) -> None:
        """Treat the part read so far as the whole log."""
        self.size = self.offset

    def rest(self) -> tuple[str, ...]:
        """Return the last line if it has no newline."""
        return displayable_lines(self._splitter.flush())


def displayable_lines(lines: list[bytes]) -> tuple[str, ...]:
    """Return lines as safe text; of lines with carriage returns (progress bars), only the last part is kept."""
    if not lines:
        return ()
    text = b"\n".join(lines).decode(errors="replace")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return tuple(printable(text).split("\n"))
