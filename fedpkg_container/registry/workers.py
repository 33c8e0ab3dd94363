"""Doing many things at the same time, with a limit, in a way that can be stopped at once."""

from __future__ import annotations

import collections
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar, Union

from fedpkg_container.errors import FedpkgContainerError, RegistryUnavailableError

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Seconds for which threads that were stopped are waited for: what they do may be broken off at any moment.
LEAVE = 5.0
#: How many jobs in a row may find the registry away before it is asked whether it is.
AWAY = 3


class StoppedError(FedpkgContainerError):
    """The run ends before this is done."""

    def __init__(self) -> None:
        super().__init__("stopped")


class NotAskedError(RegistryUnavailableError):
    """The registry is away, so this was not begun."""

    def __init__(self) -> None:
        super().__init__("not asked for, since the registry is away")


@dataclass(frozen=True)
class Outcome(Generic[Job, Result]):
    """How a job ended.

    :param result: None when it failed
    :param error: None when it did not
    """

    job: Job
    result: Result | None
    error: FedpkgContainerError | OSError | None


class Crew:
    """Threads that do jobs.

    At the end of the block those under way are told to stop. They are daemons: one that waits for a registry that hangs
    does not keep the program from ending.

    :param size: how many jobs are done at the same time
    :param is_away: asks whether the registry is away, or only fails for what it was asked for
    :param give_up: called when the block ends in an error: makes what waits for the registry end soon
    """

    def __init__(self, size: int, is_away: Callable[[], bool], give_up: Callable[[], None] = lambda: None) -> None:
        self.size = size
        self._is_away, self._give_up = is_away, give_up
        self._threads: list[threading.Thread] = []
        #: What a job looks at while it works: when it is set, there is no use in going on.
        self.stop = threading.Event()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        if error is not None:
            self._give_up()
        deadline = time.monotonic() + LEAVE
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def each(self, jobs: Iterable[Job], work: Callable[[Job], Result]) -> Iterator[Outcome[Job, Result]]:
        """Do jobs, and hand on how each ended as it ends.

        When ``AWAY`` jobs in a row find the registry away, and it is, those that are left are not begun, and fail too.

        :param work: may raise ``FedpkgContainerError`` and ``OSError``
        """
        left = collections.deque(jobs)
        expected, missed = len(left), 0
        done: queue.SimpleQueue[Union[Outcome[Job, Result], None]] = queue.SimpleQueue()
        self._threads = []
        for _ in range(min(self.size, expected)):
            thread = threading.Thread(target=self._work, args=(left, work, done), daemon=True)
            thread.start()
            self._threads.append(thread)
        running = len(self._threads)
        while running:
            outcome = done.get()
            if outcome is None:
                running -= 1
                continue
            expected -= 1
            yield outcome
            missed = missed + 1 if isinstance(outcome.error, RegistryUnavailableError) else 0
            if missed >= AWAY and left and self._is_away():
                given_up = list(_taken(left))
                expected -= len(given_up)
                yield from (Outcome(job, None, NotAskedError()) for job in given_up)
        if expected:
            raise RuntimeError(f"{expected} jobs did not end")  # a thread met an error that nobody expects

    def _work(
        self,
        left: collections.deque[Job],
        work: Callable[[Job], Result],
        done: queue.SimpleQueue[Outcome[Job, Result] | None],
    ) -> None:
        try:
            for job in _taken(left):
                if self.stop.is_set():
                    break
                try:
                    done.put(Outcome(job, work(job), None))
                except (FedpkgContainerError, OSError) as error:
                    done.put(Outcome(job, None, error))
        finally:
            done.put(None)


def _taken(left: collections.deque[Job]) -> Iterator[Job]:
    """The jobs that no other thread has taken, until there are none."""
    while True:
        try:
            yield left.popleft()
        except IndexError:
            return
