"""Following a build: everything that happens to a tree of tasks, and every line of its logs, in one request a tick."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import koji

from fedpkg_container.errors import LostContactError
from fedpkg_container.hub.events import (
    ContactLost,
    ContactRegained,
    Event,
    Finished,
    LogLines,
    TaskChanged,
    TaskState,
    Tick,
)
from fedpkg_container.hub.logs import Log
from fedpkg_container.hub.session import UNREACHABLE, reason_of
from fedpkg_container.text import printable

Answer = TypeVar("Answer")

#: Seconds between two questions once the build has ended, and only the ends of its logs are missing.
LAST_TICK = 0.1
#: By how much the time between two questions grows while nothing happens.
SLOWING = 1.25
#: The longest pause before a hub that does not answer is asked again, seconds.
LONGEST_PAUSE = 15.0


@dataclass(frozen=True)
class Pace:
    """How often a hub is asked; all in seconds.

    :param tick: between two questions while a state or a log has changed lately
    :param slowest: the same when nothing has happened for long
    :param hub_timeout: for how long a hub that does not answer is asked again
    """

    tick: float = 1.0
    slowest: float = 5.0
    hub_timeout: float = 600.0


USUAL = Pace()


def follow(
    session: Any,
    task_id: int,
    *,
    pace: Pace = USUAL,
    login: Callable[[], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Everything that happens until a task has ended; the last event is ``Finished``.

    :param login: logs the session in again, once, when the hub does not know it any more
    :raises LostContactError: the hub did not answer for that long; the build goes on
    :raises koji.GenericError: there is no such task
    """
    return _Follower(session, task_id, pace, login, sleep, clock).events()


class _Follower:
    def __init__(
        self,
        session: Any,
        task_id: int,
        pace: Pace,
        login: Callable[[], None] | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.session = session
        self.root = task_id
        self.pace = pace
        self.login = login
        self.sleep = sleep
        self.clock = clock
        self.tasks: dict[int, TaskState] = {}
        self.announced: dict[int, TaskState] = {}
        self.hosts: dict[int, str] = {}
        self.logs: dict[tuple[int, str], Log] = {}
        self.drained: set[int] = set()

    def events(self) -> Iterator[Event]:
        tick = self.pace.tick
        while True:
            began = self.clock()
            answers = yield from self._patiently(self._ask)
            happened = False
            for event in self._digest(answers):
                happened = True
                yield event
            root = self.tasks[self.root]
            if root.ended and all(self._is_read(task_id) for task_id, task in self.tasks.items() if task.ended):
                break
            yield Tick()
            tick = self.pace.tick if happened else min(tick * SLOWING, self.pace.slowest)
            pause = 0.0 if self._is_behind() else LAST_TICK if root.ended else tick
            self.sleep(max(pause - (self.clock() - began), 0.0))
        for (task_id, name), log in self.logs.items():
            if lines := log.rest():
                yield LogLines(self.tasks[task_id], name, lines)
        finished = yield from self._patiently(self._finish)
        yield finished

    def _patiently(self, ask: Callable[[], Answer]) -> Generator[Event, None, Answer]:
        """Ask until the hub answers, longer and longer apart."""
        since: float | None = None
        pause = self.pace.tick
        while True:
            try:
                answer = ask()
            except koji.AuthError:
                if self.login is None:
                    raise
                again, self.login = self.login, None  # once
                again()
            except (*UNREACHABLE, koji.ServerOffline) as error:
                now = self.clock()
                since = now if since is None else since
                if now - since >= self.pace.hub_timeout:
                    raise LostContactError(
                        f"the hub has not answered for {now - since:.0f} s ({reason_of(error)}); "
                        f"task {self.root} goes on without us",
                        solution=f"watch it again with: fedpkg container-status --watch {self.root}",
                    ) from error
                yield ContactLost(now - since, reason_of(error), self.pace.hub_timeout)
                self.sleep(min(pause, self.pace.hub_timeout - (now - since)))
                pause = min(pause * 1.5, LONGEST_PAUSE)
            else:
                if since is not None:
                    yield ContactRegained(self.clock() - since)
                return answer

    def _is_behind(self) -> bool:
        """Whether a log has more than one request brought."""
        return any(log.is_behind for log in self.logs.values())

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
                if task_id not in self.drained or log.is_behind:
                    asked["log", task_id, name] = multicall.downloadTaskOutput(task_id, name, log.offset, log.chunk)
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
            elif key[0] == "log" and (lines := self.logs[key[1:]].add(base64.b64decode(answer))):
                yield LogLines(self.tasks[key[1]], key[2], lines)
        yield from self._announce()

    def _note_task(self, info: Mapping[str, Any]) -> None:
        host_id = info["host_id"]
        if host_id is not None:
            self.hosts.setdefault(host_id, "")
        self.tasks[info["id"]] = task_state(info, self.hosts[host_id] if host_id is not None else "")

    def _announce(self) -> Iterator[Event]:
        """Tell what is new of the tasks: a builder when its name is known, an end when the logs have been read."""
        running = sorted(task_id for task_id, task in self.tasks.items() if not task.ended)
        ended = sorted(self.tasks.keys() - set(running), reverse=True)  # children end before their parents
        for task_id in [*running, *ended]:
            task = self.tasks[task_id]
            known = self.announced.get(task_id)
            nameless = task.has_host and not task.host
            unread = task.ended and not self._is_read(task_id)
            if unread and known is None and task.started is not None:
                task = replace(task, state="OPEN", completed=None)  # its logs come now, and then its end
                unread = False
            if task != known and not nameless and not unread:
                self.announced[task_id] = task
                yield TaskChanged(task)

    def _note_files(self, task_id: int, files: Mapping[str, Any], *, final: bool) -> None:
        """Learn which logs a task has and how long they are; after its end they grow no more."""
        for name, facts in files.items():
            if name.endswith(".log"):
                self.logs.setdefault((task_id, name), Log()).resize(int(facts["st_size"]))
        if final:
            self.drained.add(task_id)

    def _is_read(self, task_id: int) -> bool:
        """Whether a task has ended and its logs have been read to their end."""
        logs = [log for (owner, _), log in self.logs.items() if owner == task_id]
        return task_id in self.drained and not any(log.is_behind for log in logs)

    def _finish(self) -> Finished:
        return finished(self.session, self.tasks[self.root], list(self.tasks.values()), list(self.logs))


def finished(session: Any, root: TaskState, tasks: Sequence[TaskState], logs: Sequence[tuple[int, str]]) -> Finished:
    """How a tree of tasks has ended.

    :param tasks: all of the tree
    :param logs: task and name of every log
    """
    if root.state == "CANCELED":
        return Finished(root, {})
    if root.state == "FAILED":
        fault = session.getTaskResult(root.id, raise_fault=False)
        below = [task for task in tasks if task.state == "FAILED" and task.id != root.id]
        failed = max(below, key=lambda task: task.id) if below else root
        names = tuple(name for task_id, name in logs if task_id == failed.id)
        return Finished(root, {}, one_sentence(str(fault["faultString"])), failed, logs=names)
    result = session.getTaskResult(root.id)
    result = result if isinstance(result, dict) else {}
    ids = [int(build) for build in result.get("koji_builds", [])]
    return Finished(root, result, builds=[session.getBuild(build) for build in ids])


def task_state(info: Mapping[str, Any], host: str) -> TaskState:
    """A task as the hub's ``getTaskInfo`` tells it."""
    return TaskState(
        id=info["id"],
        parent=info["parent"],
        method=printable(info["method"]),
        label=printable(info["label"] or (info["arch"] if info["parent"] else "")).replace("\n", " "),
        state=koji.TASK_STATES[info["state"]],
        host=host,
        has_host=info["host_id"] is not None,
        created=info.get("create_ts"),
        started=info.get("start_ts"),
        completed=info.get("completion_ts"),
    )


def one_sentence(fault: str) -> str:
    """What a fault says: its text, or the last line of the traceback that a hub sends as text."""
    lines = [line for line in printable(fault).strip().splitlines() if line.strip()]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1].strip()
    return " ".join(line.strip() for line in lines)
