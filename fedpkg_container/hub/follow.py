"""Following a build: everything that happens to a tree of tasks, and every line of its logs, in one request a tick."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import koji

from fedpkg_container.errors import LostContactError
from fedpkg_container.hub.events import ContactLost, ContactRegained, Event, Finished, LogLine, TaskChanged, TaskState
from fedpkg_container.hub.session import UNREACHABLE
from fedpkg_container.text import LineSplitter, printable

Answer = TypeVar("Answer")

#: Seconds between two questions.
TICK = 1.0
#: The same once the build has ended, and only the ends of its logs are missing.
LAST_TICK = 0.1
#: Bytes of one log that are read in one request.
CHUNK = 256 * 1024
#: Seconds for which a hub that does not answer is asked again.
HUB_TIMEOUT = 600.0


def follow(
    session: Any,
    task_id: int,
    *,
    hub_timeout: float = HUB_TIMEOUT,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Everything that happens until a task has ended; the last event is ``Finished``.

    :param hub_timeout: seconds
    :raises LostContactError: the hub did not answer for that long; the build goes on
    """
    return _Follower(session, task_id, hub_timeout, sleep, clock).events()


class _Log:
    """How far a log has been read."""

    def __init__(self) -> None:
        self.offset = 0
        self.size = 0
        self._splitter = LineSplitter()

    def resize(self, size: int) -> None:
        """Note how long the log is; one that has become shorter was begun anew, by a task that began again."""
        if size < self.offset:
            self.offset, self._splitter = 0, LineSplitter()
        self.size = size

    def add(self, content: bytes) -> list[str]:
        """The lines that this part completes."""
        self.offset += len(content)
        return [_shown(line) for line in self._splitter.add(content)]

    def rest(self) -> list[str]:
        """What is left without a newline at the end of the log."""
        return [_shown(line) for line in self._splitter.rest()]


def _shown(line: bytes) -> str:
    """A line as it may be shown; a progress bar's carriage returns leave only what was seen last."""
    text = line.decode(errors="replace").rstrip("\r")
    return printable(text.rpartition("\r")[2])


class _Follower:
    def __init__(
        self,
        session: Any,
        task_id: int,
        hub_timeout: float,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.session = session
        self.root = task_id
        self.hub_timeout = hub_timeout
        self.sleep = sleep
        self.clock = clock
        self.tasks: dict[int, TaskState] = {}
        self.announced: dict[int, TaskState] = {}
        self.hosts: dict[int, str] = {}
        self.logs: dict[tuple[int, str], _Log] = {}
        self.drained: set[int] = set()

    def events(self) -> Iterator[Event]:
        while True:
            began = self.clock()
            answers = yield from self._patiently(self._ask)
            yield from self._digest(answers)
            root = self.tasks[self.root]
            if root.ended and all(self._is_read(task_id) for task_id, task in self.tasks.items() if task.ended):
                break
            tick = LAST_TICK if root.ended else TICK
            self.sleep(max(tick - (self.clock() - began), 0.0))
        for (task_id, name), log in self.logs.items():
            for text in log.rest():
                yield LogLine(self.tasks[task_id], name, text)
        finished = yield from self._patiently(self._finish)
        yield finished

    def _patiently(self, ask: Callable[[], Answer]) -> Generator[Event, None, Answer]:
        """Ask until the hub answers, longer and longer apart."""
        since: float | None = None
        pause = TICK
        while True:
            try:
                answer = ask()
            except (*UNREACHABLE, koji.ServerOffline) as error:
                now = self.clock()
                since = now if since is None else since
                if now - since > self.hub_timeout:
                    raise LostContactError(
                        f"the hub has not answered for {now - since:.0f} s; task {self.root} goes on without us",
                        solution=f"watch it again with: koji watch-task {self.root}",
                    ) from error
                yield ContactLost(now - since)
                self.sleep(pause)
                pause = min(pause * 1.5, 15.0)
            else:
                if since is not None:
                    yield ContactRegained(self.clock() - since)
                return answer

    def _ask(self) -> dict[Any, Any]:
        """One request: the tree, the names of new logs, and the next part of each log."""
        with self.session.multicall(strict=False) as multicall:
            asked: dict[Any, Any] = {
                "root": multicall.getTaskInfo(self.root, strict=True),
                "tree": multicall.getTaskDescendents(self.root),
            }
            for host_id in {host for host, name in self.hosts.items() if not name}:
                asked["host", host_id] = multicall.getHost(host_id)
            for task_id in self.tasks.keys() - self.drained:
                asked["files", task_id] = multicall.listTaskOutput(task_id, stat=True)
            for (task_id, name), log in self.logs.items():
                if task_id not in self.drained or log.offset < log.size:
                    asked["log", task_id, name] = multicall.downloadTaskOutput(task_id, name, log.offset, CHUNK)
        return {key: call.result for key, call in asked.items()}

    def _digest(self, answers: dict[Any, Any]) -> Iterator[Event]:
        ended_before = {task_id for task_id, task in self.tasks.items() if task.ended}
        for key, answer in answers.items():
            if key[0] == "host":
                self.hosts[key[1]] = printable(answer["name"]) if answer else "?"
        self._note_task(answers["root"])
        for children in answers["tree"].values():
            for info in children:
                if info["id"] != self.root:
                    self._note_task(info)
        yield from self._announce()
        for key, answer in answers.items():
            if key[0] == "files":
                self._note_files(key[1], answer, final=key[1] in ended_before)
            elif key[0] == "log":
                for text in self.logs[key[1:]].add(base64.b64decode(answer)):
                    yield LogLine(self.tasks[key[1]], key[2], text)
        yield from self._announce()

    def _note_task(self, info: dict[str, Any]) -> None:
        host_id = info["host_id"]
        if host_id is not None:
            self.hosts.setdefault(host_id, "")
        self.tasks[info["id"]] = TaskState(
            id=info["id"],
            parent=info["parent"],
            method=printable(info["method"]),
            label=printable(info["label"] or (info["arch"] if info["parent"] else "")),
            state=koji.TASK_STATES[info["state"]],
            host=self.hosts[host_id] if host_id is not None else "",
            has_host=host_id is not None,
        )

    def _announce(self) -> Iterator[Event]:
        """Tell what is new of the tasks: a builder when its name is known, an end when the logs have been read."""
        running = sorted(task_id for task_id, task in self.tasks.items() if not task.ended)
        ended = sorted(self.tasks.keys() - set(running), reverse=True)  # children end before their parents
        for task_id in [*running, *ended]:
            task = self.tasks[task_id]
            known = self.announced.get(task_id)
            nameless = task.has_host and not task.host
            unread = task.ended and not self._is_read(task_id)
            if task != known and not nameless and not unread:
                self.announced[task_id] = task
                yield TaskChanged(task)

    def _note_files(self, task_id: int, files: dict[str, Any], *, final: bool) -> None:
        """Learn which logs a task has and how long they are; after its end they grow no more."""
        for name, facts in files.items():
            if name.endswith(".log"):
                self.logs.setdefault((task_id, name), _Log()).resize(int(facts["st_size"]))
        if final:
            self.drained.add(task_id)

    def _is_read(self, task_id: int) -> bool:
        """Whether a task has ended and its logs have been read to their end."""
        logs = [log for (owner, _), log in self.logs.items() if owner == task_id]
        return task_id in self.drained and all(log.offset >= log.size for log in logs)

    def _finish(self) -> Finished:
        root = self.tasks[self.root]
        if root.state == "CANCELED":
            return Finished(root, {})
        if root.state == "FAILED":
            fault = self.session.getTaskResult(self.root, raise_fault=False)
            failed = [task for task in self.tasks.values() if task.state == "FAILED" and task.id != self.root]
            return Finished(root, {}, printable(str(fault["faultString"])), failed[0] if failed else root)
        result = self.session.getTaskResult(self.root)
        ids = [int(build) for build in result.get("koji_builds", [])]
        return Finished(root, result, builds=[self.session.getBuild(build) for build in ids])
