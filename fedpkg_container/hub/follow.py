# SPDX-License-Identifier: GPL-2.0-or-later
"""Following a build: events for all changes of its task tree and all lines of its logs."""

from __future__ import annotations

import base64
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import koji

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.events import (
    BuilderSeen,
    Event,
    Finished,
    LogLines,
    NoBuilder,
    TaskChanged,
    TaskState,
)
from fedpkg_container.hub.hosts import find_tasks_without_builder
from fedpkg_container.hub.logs import LogReader
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.retry import HubRetry
from fedpkg_container.hub.tasks import read_outcome, task_state
from fedpkg_container.model.koji_types import FileInfo, HostInfo, TaskInfo
from fedpkg_container.model.polling import DEFAULT_POLL_INTERVAL, PollInterval
from fedpkg_container.text import printable_line

#: Polling interval in seconds after the build has ended, while only the ends of its logs are missing.
FINAL_INTERVAL = 0.1
#: How often the hub may refuse to list or return the logs of a finished build before they are skipped.
MAX_REFUSALS = 50
#: Factor by which the polling interval grows while nothing changes.
INTERVAL_GROWTH = 1.25
#: Maximum bytes of all logs to read in one request, and minimum bytes of one log.
MAX_LOG_BYTES = 8 * 1024 * 1024
MIN_CHUNK = 16 * 1024


def follow(
    session: HubSession,
    task_id: int,
    *,
    interval: PollInterval = DEFAULT_POLL_INTERVAL,
    login: Callable[[], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Yield events until a task has ended; the last event is ``Finished``.

    :param login: logs the session in again; called once, if the hub no longer knows the session
    :raises LostContactError: if the hub did not respond within the timeout; the build continues
    :raises RefusedError: if there is no such task
    """
    return _Follower(session, task_id, interval, login, sleep, clock).events()


class _Follower:
    def __init__(
        self,
        session: HubSession,
        task_id: int,
        interval: PollInterval,
        login: Callable[[], None] | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.session = session
        self.root = task_id
        self.interval = interval
        self.retry = HubRetry(session, task_id, interval, login, sleep, clock)
        self.sleep = sleep
        self.clock = clock
        self.tasks: dict[int, TaskState] = {}
        #: Tasks that had ended before the first request; they are reported as ended, not as running.
        self.ended_before: frozenset[int] | None = None
        self.announced: dict[int, TaskState] = {}
        self.hosts: dict[int, str] = {}
        self.logs: dict[tuple[int, str], LogReader] = {}
        self.drained: set[int] = set()
        self.refused: Counter[Any] = Counter()
        self.waiting_since: dict[int, float] = {}
        self.builders_checked = -math.inf
        self.without_builder: dict[tuple[int, str], NoBuilder] = {}

    def events(self) -> Iterator[Event]:
        interval = self.interval.minimum
        while True:
            began = self.clock()
            responses = yield from self.retry.call(self._poll)
            changed = False
            for event in self._process(responses):
                changed = changed or not isinstance(event, NoBuilder)
                yield event
            root = self.tasks[self.root]
            if root.ended and all(self._is_read(task_id) for task_id, task in self.tasks.items() if task.ended):
                break
            interval = self.interval.minimum if changed else min(interval * INTERVAL_GROWTH, self.interval.maximum)
            pause = 0.0 if self._has_more() else FINAL_INTERVAL if root.ended else interval
            self.sleep(max(pause - (self.clock() - began), 0.0))
        for (task_id, name), log in self.logs.items():
            if lines := log.rest():
                yield LogLines(self.tasks[task_id], printable_line(name), lines)
        outcome = yield from self.retry.call(self._finish)
        yield outcome

    def _has_more(self) -> bool:
        """Whether a log has more content than one request returned."""
        return any(log.is_full and log.is_behind for log in self.logs.values())

    def _poll(self) -> dict[object, object]:
        """Query the tree, the names of new hosts, and the next chunk of each log, using one request."""
        behind = [key for key, log in self.logs.items() if key[0] not in self.drained or log.is_behind]
        share = max(MAX_LOG_BYTES // max(len(behind), 1), MIN_CHUNK)
        with self.session.multicall(strict=False) as multicall:
            calls: dict[Any, Any] = {
                ("root",): multicall.getTaskInfo(self.root, strict=True),
                ("tree",): multicall.getTaskDescendents(self.root),
            }
            for host_id in {host for host, name in self.hosts.items() if not name}:
                calls["host", host_id] = multicall.getHost(host_id)
            for task_id in self.tasks.keys() - self.drained:
                calls["files", task_id] = multicall.listTaskOutput(task_id, stat=True)
            for task_id, name in behind:
                log = self.logs[task_id, name]
                size = min(log.chunk, share)
                calls["log", task_id, name, size] = multicall.downloadTaskOutput(task_id, name, log.offset, size)
            for channel in self._channels_to_check():
                calls["hosts", channel] = multicall.listHosts(channelID=channel, enabled=True)
        return self._results(calls)

    def _channels_to_check(self) -> list[int]:
        """Return the channels of tasks that have waited for long, at intervals; otherwise nothing."""
        now = self.clock()
        if now - self.builders_checked < self.interval.builder_check:
            return []
        overdue = [
            task_id for task_id, since in self.waiting_since.items() if now - since >= self.interval.builder_check
        ]
        channels = sorted({channel for number in overdue if (channel := self.tasks[number].channel) is not None})
        if channels:
            self.builders_checked = now
        return channels

    def _results(self, calls: Mapping[Any, Any]) -> dict[object, object]:
        """Return the results of the calls; failed ones, except for the tree itself, are repeated with the next poll.

        :raises RefusedError: if there is no such task
        :raises koji.GenericError: if the hub could not return the tree
        """
        results = {}
        for key, call in calls.items():
            try:
                results[key] = call.result
            except koji.GenericError as error:
                if key == ("root",) and not self.tasks:
                    raise RefusedError(f"the hub has no task {self.root}", solution="pass a valid task ID") from error
                if key in (("root",), ("tree",)):
                    raise
                if self.tasks[self.root].ended:
                    self._note_refusal(key)
        return results

    def _note_refusal(self, key: Any) -> None:
        """Skip a log that the hub refuses repeatedly after the end of the build, e.g. because its file is lost."""
        self.refused[key[:3]] += 1
        if self.refused[key[:3]] < MAX_REFUSALS:
            return
        if key[0] == "files":
            self.drained.add(key[1])
        elif key[0] == "log":
            self.logs[key[1:3]].mark_complete()

    def _process(self, responses: dict[Any, Any]) -> Iterator[Event]:
        ended_before = {task_id for task_id, task in self.tasks.items() if task.ended}
        for key, response in responses.items():
            if key[0] == "host":
                self.hosts[key[1]] = printable_line(response["name"]) if response else "?"
        self._note_task(responses["root",])
        for children in responses["tree",].values():
            for info in children:
                if info["id"] != self.root:
                    self._note_task(info)
        if self.ended_before is None:
            self.ended_before = frozenset(task_id for task_id, task in self.tasks.items() if task.ended)
        yield from self._announce()
        yield from self._note_builders({key[1]: hosts for key, hosts in responses.items() if key[0] == "hosts"})
        for key, response in responses.items():
            if key[0] == "files":
                self._note_files(key[1], response, final=key[1] in ended_before)
            elif key[0] == "log" and (lines := self.logs[key[1:3]].add(base64.b64decode(response), key[3])):
                yield LogLines(self.tasks[key[1]], printable_line(key[2]), lines)
        yield from self._announce()

    def _note_task(self, info: TaskInfo) -> None:
        host_id = info["host_id"]
        if host_id is not None:
            self.hosts.setdefault(host_id, "")
        task = task_state(info, self.hosts[host_id] if host_id is not None else "")
        previous = self.tasks.get(task.id)
        if previous is not None and previous.started is not None and task.started != previous.started:
            for (task_id, _), log in self.logs.items():
                if task_id == task.id:
                    log.expect_restart()
        self.tasks[task.id] = task
        if task.is_waiting:
            waited = max(time.time() - task.created, 0.0) if task.created is not None else 0.0
            self.waiting_since.setdefault(task.id, self.clock() - waited)
        else:
            self.waiting_since.pop(task.id, None)

    def _note_builders(self, channels: Mapping[int, Sequence[HostInfo]]) -> Iterator[Event]:
        """Report builders that stopped checking in, and those that check in again.

        :param channels: hosts of the channels that were checked; empty if none were
        """
        waiting = [self.tasks[task_id] for task_id in sorted(self.waiting_since)]
        events = find_tasks_without_builder(waiting, channels, time.time())
        keys = {(task.channel, task.arch) for task in waiting}
        for key in list(self.without_builder):
            if key not in keys or (key[0] in channels and key not in events):
                del self.without_builder[key]
                yield BuilderSeen(key[1])
        self.without_builder.update(events)
        yield from events.values()

    def _announce(self) -> Iterator[Event]:
        """Report changes of tasks: a builder once its name is known, an end once the logs have been read."""
        running = sorted(task_id for task_id, task in self.tasks.items() if not task.ended)
        ended = sorted(self.tasks.keys() - set(running), reverse=True)  # children end before their parents
        for task_id in [*running, *ended]:
            task = self.tasks[task_id]
            announced = self.announced.get(task_id)
            nameless = task.has_host and not task.host
            unread = task.ended and not self._is_read(task_id) and task_id not in (self.ended_before or ())
            if unread and announced is None and task.started is not None:
                task = replace(task, state="OPEN", completed=None)  # report its logs first, and then its end
                unread = False
            if task != announced and not nameless and not unread:
                self.announced[task_id] = task
                yield TaskChanged(task)

    def _note_files(self, task_id: int, files: Mapping[str, FileInfo], *, final: bool) -> None:
        """Update the list of a task's logs and their sizes, which are final after the task has ended."""
        for name, stat in files.items():
            if name.endswith(".log"):
                self.logs.setdefault((task_id, name), LogReader()).resize(int(stat["st_size"]))
        if final:
            self.drained.add(task_id)

    def _is_read(self, task_id: int) -> bool:
        """Whether a task has ended and its logs have been read completely."""
        logs = [log for (owner, _), log in self.logs.items() if owner == task_id]
        return task_id in self.drained and not any(log.is_behind for log in logs)

    def _finish(self) -> Finished:
        return read_outcome(self.session, self.tasks[self.root], list(self.tasks.values()), list(self.logs))
