# SPDX-License-Identifier: GPL-2.0-or-later
"""Watching: how many requests per minute a client sends to the hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.running import OURS, RPKG, Client, UnexpectedEndError, running
from benchmarks.stage import Stage
from benchmarks.table import Row

#: Seconds between two lines of a log that grows.
LINE_EVERY = 0.5
#: Seconds after which the polling interval of our client is longest, when nothing happens.
SLOWED = 30.0
READS_NO_LOGS = "rpkg reads no logs: what it does is the same as in the row with nothing happening"


class Logs:
    """Logs that grow by a line now and then, until they are stopped."""

    def __init__(self) -> None:
        self._growing: set[Path] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._write, daemon=True).start()

    def grow(self, path: Path) -> None:
        """Let a log grow."""
        with self._lock:
            self._growing.add(path)

    def rest(self, path: Path) -> None:
        """Let it grow no more."""
        with self._lock:
            self._growing.discard(path)

    @contextmanager
    def growing(self, path: Path) -> Iterator[None]:
        """Let a log grow for a while."""
        self.grow(path)
        try:
            yield
        finally:
            self.rest(path)

    def _write(self) -> None:
        number = 0
        while True:
            time.sleep(LINE_EVERY)
            number += 1
            with self._lock:
                for path in self._growing:
                    with path.open("a") as file:
                        file.write(f"line {number} of a log that grows\n")


@dataclass(frozen=True)
class Timing:
    """When is counted, in seconds after the last client was started.

    rpkg looks at once and then every 60 s, and learns of tasks below the first at its second look: from its third on
    it does the same each time, and 60 s hold one look.
    """

    settle: float = 64.0
    window: float = 60.0

    @property
    def caveat(self) -> str:
        """What is to be known of a count that starts early."""
        return "" if self.settle > SLOWED else ", started before ours had slowed down"


@dataclass(frozen=True)
class Watchers:
    """Clients that watch, each as a separate user."""

    stage: Stage
    clients: dict[str, Client]
    started: float
    timing: Timing

    def rows(self) -> Iterator[Row]:
        """Wait for the end of the window, and count."""
        begin = int(self.started + self.timing.settle) + 1
        end = begin + self.timing.window
        time.sleep(max(end + 1 - time.time(), 0))
        for client in self.clients.values():
            if client.ended is not None:
                raise UnexpectedEndError(f"{' '.join(client.command)} ended while it was to watch\n{client.tail()}")
        minutes = self.timing.window / 60
        rates = {user: self.stage.requests_between(user, begin, end) / minutes for user in self.clients}
        for tasks in (1, 50):
            rpkg = rates.get(f"watch-rpkg-{tasks}")
            for state, words in (("still", "nothing happening"), ("growing", "a log growing")):
                what = f"watching {tasks} task{'s' if tasks > 1 else ''}, {words}"
                note = (
                    READS_NO_LOGS
                    if state == "growing"
                    else f"counted over {self.timing.window:g} s{self.timing.caveat}"
                )
                yield Row(what, rpkg, rates[f"watch-{state}-{tasks}"], "requests/min", note)


@contextmanager
def watchers(stage: Stage, logs: Logs, timing: Timing, *, quick: bool) -> Iterator[Watchers]:
    """Clients that watch a task and a tree of fifty.

    :param quick: leave out rpkg
    """
    clients: dict[str, Client] = {}
    with ExitStack() as stack:
        for tasks in (1, 50):
            for kind, program in (("rpkg", RPKG), ("still", OURS), ("growing", OURS)):
                if quick and kind == "rpkg":
                    continue
                user = f"watch-{kind}-{tasks}"
                env, output = stage.user(user), stage.directory / f"{user}.out"
                command = [*program, "container-build", "--scratch"]
                clients[user] = stack.enter_context(running(command, cwd=stage.checkout, env=env, output=output))
                task_id = stage.builder.take(user, children=tasks - 1)
                if kind == "growing":
                    stack.enter_context(logs.growing(stage.builder.log(task_id)))
        yield Watchers(stage, clients, time.time(), timing)
