"""Following a build: every change of its tree of tasks, and every line of their logs."""

from __future__ import annotations

import base64
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import koji

from fedpkg_container.errors import LostContactError, NotAuthenticatedError, RefusedError
from fedpkg_container.hub.events import (
    BuilderSeen,
    ContactLost,
    ContactRegained,
    Event,
    Finished,
    LogLines,
    NoBuilder,
    TaskChanged,
    TaskState,
)
from fedpkg_container.hub.hosts import without_builder
from fedpkg_container.hub.logs import Log
from fedpkg_container.hub.session import UNREACHABLE, is_lasting, reason_of
from fedpkg_container.hub.tasks import finished, task_state
from fedpkg_container.model.polling import USUAL, Pace
from fedpkg_container.text import printable_line

Answer = TypeVar("Answer")

#: Seconds between two questions once the build has ended, and only the ends of its logs are missing.
LAST_TICK = 0.1
#: How often the hub may refuse to show a log of a build that has ended, or to list its logs, before that is given up.
REFUSALS = 50
#: By how much the time between two questions grows while nothing happens.
SLOWING = 1.25
#: The longest pause before a hub that does not answer is asked again, seconds.
LONGEST_PAUSE = 15.0
#: Bytes of all logs together that are read in one request, and how many of one log at least.
BUDGET = 8 * 1024 * 1024
SMALLEST_CHUNK = 16 * 1024


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
    :raises RefusedError: there is no such task
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
        self.refused: Counter[Any] = Counter()
        self.is_forgotten = False
        self.waiting: dict[int, float] = {}
        self.looked = -math.inf
        self.silent: dict[tuple[int, str], NoBuilder] = {}

    def events(self) -> Iterator[Event]:
        tick = self.pace.tick
        while True:
            began = self.clock()
            answers = yield from self._patiently(self._ask)
            happened = False
            for event in self._digest(answers):
                happened = happened or not isinstance(event, NoBuilder)
                yield event
            root = self.tasks[self.root]
            if root.ended and all(self._is_read(task_id) for task_id, task in self.tasks.items() if task.ended):
                break
            tick = self.pace.tick if happened else min(tick * SLOWING, self.pace.slowest)
            pause = 0.0 if self._more_is_there() else LAST_TICK if root.ended else tick
            self.sleep(max(pause - (self.clock() - began), 0.0))
        for (task_id, name), log in self.logs.items():
            if lines := log.rest():
                yield LogLines(self.tasks[task_id], printable_line(name), lines)
        finished = yield from self._patiently(self._finish)
        yield finished

    def _patiently(self, ask: Callable[[], Answer]) -> Generator[Event, None, Answer]:
        """Ask until the hub answers, longer and longer apart."""
        since: float | None = None
        pause = self.pace.tick
        while True:
            began = self.clock()
            try:
                if self.is_forgotten:
                    self._renew()
                answer = ask()
            except koji.AuthError:
                self._forget()
            except (*UNREACHABLE, koji.GenericError, LostContactError) as error:
                now = self.clock()
                since = began if since is None else since
                reason = reason_of(error)
                if now - since >= self.pace.hub_timeout or is_lasting(error):
                    raise self._given_up(now - since, reason) from error
                yield ContactLost(now - since, reason, self.pace.hub_timeout)
                self.sleep(min(pause, max(self.pace.hub_timeout - (now - since), 0.0)))
                pause = min(pause * 1.5, LONGEST_PAUSE)
            else:
                if since is not None:
                    yield ContactRegained(self.clock() - since)
                return answer

    def _given_up(self, seconds: float, reason: str) -> LostContactError:
        how_long = f" for {seconds:.0f} s" if seconds >= 1 else ""
        return LostContactError(
            f"the hub has not answered{how_long} ({reason}); task {self.root} goes on without us",
            solution=f"watch task {self.root} again later",
        )

    def _forget(self) -> None:
        """The hub does not know the session any more: log in again once, and then go on without; reading needs none.

        :raises koji.AuthError: it refuses to be read as well
        """
        if not self.session.logged_in:
            raise koji.AuthError("the hub does not let itself be read without a login")
        if self.login is None:
            self.session.setSession(None)
        else:
            self.is_forgotten = True

    def _renew(self) -> None:
        assert self.login is not None, "only a session that can be renewed is marked"
        try:
            self.login()
        except NotAuthenticatedError:
            self.session.setSession(None)
        self.login, self.is_forgotten = None, False

    def _more_is_there(self) -> bool:
        """Whether a log has more than one request brought."""
        return any(log.is_full and log.is_behind for log in self.logs.values())

    def _ask(self) -> dict[Any, Any]:
        """One request: the tree, the names of new logs, and the next part of each log."""
        behind = [key for key, log in self.logs.items() if key[0] not in self.drained or log.is_behind]
        share = max(BUDGET // max(len(behind), 1), SMALLEST_CHUNK)
        with self.session.multicall(strict=False) as multicall:
            asked: dict[Any, Any] = {
                ("root",): multicall.getTaskInfo(self.root, strict=True),
                ("tree",): multicall.getTaskDescendents(self.root),
            }
            for host_id in {host for host, name in self.hosts.items() if not name}:
                asked["host", host_id] = multicall.getHost(host_id)
            for task_id in self.tasks.keys() - self.drained:
                asked["files", task_id] = multicall.listTaskOutput(task_id, stat=True)
            for task_id, name in behind:
                log = self.logs[task_id, name]
                size = min(log.chunk, share)
                asked["log", task_id, name, size] = multicall.downloadTaskOutput(task_id, name, log.offset, size)
            for channel in self._channels_to_look_at():
                asked["hosts", channel] = multicall.listHosts(channelID=channel, enabled=True)
        return self._answers(asked)

    def _channels_to_look_at(self) -> list[int]:
        """The channels of tasks that have waited for long, once in a while."""
        now = self.clock()
        if now - self.looked < self.pace.waiting:
            return []
        long = [task_id for task_id, since in self.waiting.items() if now - since >= self.pace.waiting]
        channels = sorted({channel for each in long if (channel := self.tasks[each].channel) is not None})
        if channels:
            self.looked = now
        return channels

    def _answers(self, asked: Mapping[Any, Any]) -> dict[Any, Any]:
        """What was answered; of what is not the tree itself, what cannot be told now is asked for again the next time.

        :raises RefusedError: there is no such task
        :raises koji.GenericError: the hub cannot tell now
        """
        answers = {}
        for key, call in asked.items():
            try:
                answers[key] = call.result
            except koji.GenericError as error:
                if key == ("root",) and not self.tasks:
                    raise RefusedError(
                        f"the hub knows no task {self.root}", solution="give the number of a task"
                    ) from error
                if key in (("root",), ("tree",)):
                    raise
                if self.tasks[self.root].ended:
                    self._note_refusal(key)
        return answers

    def _note_refusal(self, key: Any) -> None:
        """Give up what the hub refuses again and again after the end: a log whose file is lost, for one."""
        self.refused[key[:3]] += 1
        if self.refused[key[:3]] < REFUSALS:
            return
        if key[0] == "files":
            self.drained.add(key[1])
        elif key[0] == "log":
            self.logs[key[1:3]].give_up()

    def _digest(self, answers: dict[Any, Any]) -> Iterator[Event]:
        ended_before = {task_id for task_id, task in self.tasks.items() if task.ended}
        for key, answer in answers.items():
            if key[0] == "host":
                self.hosts[key[1]] = printable_line(answer["name"]) if answer else "?"
        self._note_task(answers["root",])
        for children in answers["tree",].values():
            for info in children:
                if info["id"] != self.root:
                    self._note_task(info)
        yield from self._announce()
        yield from self._note_builders({key[1]: answer for key, answer in answers.items() if key[0] == "hosts"})
        for key, answer in answers.items():
            if key[0] == "files":
                self._note_files(key[1], answer, final=key[1] in ended_before)
            elif key[0] == "log" and (lines := self.logs[key[1:3]].add(base64.b64decode(answer), key[3])):
                yield LogLines(self.tasks[key[1]], printable_line(key[2]), lines)
        yield from self._announce()

    def _note_task(self, info: Mapping[str, Any]) -> None:
        host_id = info["host_id"]
        if host_id is not None:
            self.hosts.setdefault(host_id, "")
        task = task_state(info, self.hosts[host_id] if host_id is not None else "")
        known = self.tasks.get(task.id)
        if known is not None and known.started is not None and task.started != known.started:
            for (task_id, _), log in self.logs.items():
                if task_id == task.id:
                    log.expect_anew()
        self.tasks[task.id] = task
        if task.waits:
            waited = max(time.time() - task.created, 0.0) if task.created is not None else 0.0
            self.waiting.setdefault(task.id, self.clock() - waited)
        else:
            self.waiting.pop(task.id, None)

    def _note_builders(self, channels: Mapping[int, Sequence[Mapping[str, Any]]]) -> Iterator[Event]:
        """Report builders that do not check in, and that they do again.

        :param channels: the hosts of the channels that were looked at; empty when none were
        """
        waiting = [self.tasks[task_id] for task_id in sorted(self.waiting)]
        found = without_builder(waiting, channels, time.time())
        pairs = {(task.channel, task.arch) for task in waiting}
        for key in list(self.silent):
            if key not in pairs or (key[0] in channels and key not in found):
                del self.silent[key]
                yield BuilderSeen(key[1])
        self.silent.update(found)
        yield from found.values()

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
