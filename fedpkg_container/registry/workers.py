# SPDX-License-Identifier: GPL-2.0-or-later
"""Worker pool: a bounded number of daemon threads for concurrent requests, which can be stopped at once."""

from __future__ import annotations

import collections
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from fedpkg_container.errors import FedpkgContainerError, RegistryUnavailableError

_log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Seconds to wait for stopped threads to end; their work can be interrupted at any point.
STOP_TIMEOUT = 5.0
#: Number of consecutive jobs that must fail because the registry is unavailable before it is checked.
MAX_CONSECUTIVE_FAILURES = 3

#: Number of jobs handed to the threads ahead of time, per thread.
QUEUE_FACTOR = 2


class StoppedError(FedpkgContainerError):
    """The run was stopped before the job was done."""

    def __init__(self) -> None:
        super().__init__("stopped")


class JobSkippedError(RegistryUnavailableError):
    """The job was not started because the registry is unavailable."""

    def __init__(self) -> None:
        super().__init__("skipped because the registry is unavailable")


@dataclass(frozen=True)
class JobResult(Generic[Job, Result]):
    """Result of a job.

    :param result: None if it failed
    :param error: None if it succeeded
    """

    job: Job
    result: Result | None
    error: FedpkgContainerError | OSError | None


class WorkerPool:
    """Threads that run jobs; a job must not wait for other jobs of the same pool.

    At the end of the block jobs are signaled to stop. The threads are daemons: one that hangs in a request does not
    keep the program from exiting.

    :param size: maximum number of concurrent jobs
    :param is_registry_down: checks whether the registry is unavailable, or only fails for certain requests
    :param cancel: called after an error, to make pending requests end soon
    """

    def __init__(
        self,
        size: int,
        *,
        is_registry_down: Callable[[], bool] = lambda: False,
        cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self.size = size
        self._is_registry_down, self._cancel = is_registry_down, cancel
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        #: Set at the end of the block; long jobs should check it.
        self.stop = threading.Event()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        if error is not None:
            self._cancel()
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + STOP_TIMEOUT
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def map(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Run a function for each job, and return the results in the order of the jobs.

        The first error is raised after all jobs of this call have ended; jobs that were not started are dropped.
        """
        futures = [self._submit(function, job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            self._cancel()
            for future in futures:
                future.cancel()
            wait(futures)
            raise

    def as_completed(self, jobs: Iterable[Job], function: Callable[[Job], Result]) -> Iterator[JobResult[Job, Result]]:
        """Run a function for each job, and yield the results as they are available, in any order.

        After ``MAX_CONSECUTIVE_FAILURES`` because of an unavailable registry, if it is down, the other jobs fail
        without being started.

        :param function: may raise ``FedpkgContainerError`` and ``OSError``; any other error is raised here
        """
        waiting = collections.deque(jobs)
        done: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
        started: dict[Future[Result], Job] = {}
        failures = 0
        try:
            while waiting or started:
                while waiting and len(started) < self.size * QUEUE_FACTOR:
                    future = self._submit(function, waiting[0])
                    started[future] = waiting.popleft()
                    future.add_done_callback(done.put)
                future = done.get()
                result = _job_result(started.pop(future), future)
                yield result
                failures = failures + 1 if isinstance(result.error, RegistryUnavailableError) else 0
                if failures >= MAX_CONSECUTIVE_FAILURES and waiting and self._is_registry_down():
                    _log.warning("the registry is unavailable: skipping %d jobs", len(waiting))
                    yield from (JobResult(job, None, JobSkippedError()) for job in waiting)
                    waiting.clear()
                    _cancel_all(started)
        finally:
            _cancel_all(started)

    def _submit(self, function: Callable[[Job], Result], job: Job) -> Future[Result]:
        future: Future[Result] = Future()

        def run() -> None:
            if self.stop.is_set():
                future.cancel()
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(job)
            except BaseException as error:  # noqa: BLE001 - raised again by future.result()
                future.set_exception(error)
            else:
                future.set_result(result)

        self._queue.put(run)
        with self._starting:
            if len(self._threads) < self.size:
                thread = threading.Thread(target=self._work, daemon=True)
                thread.start()
                self._threads.append(thread)
        return future

    def _work(self) -> None:
        while run := self._queue.get():
            run()


def _job_result(job: Job, future: Future[Result]) -> JobResult[Job, Result]:
    if future.cancelled():
        return JobResult(job, None, JobSkippedError())
    try:
        return JobResult(job, future.result(), None)
    except (FedpkgContainerError, OSError) as error:
        return JobResult(job, None, error)


def _cancel_all(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.cancel()
