# SPDX-License-Identifier: GPL-2.0-or-later
"""Following several builds at once: one thread per build, each with a separate session."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.hub.events import Event
from fedpkg_container.hub.follow import follow
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.session import hub_errors
from fedpkg_container.model.polling import DEFAULT_POLL_INTERVAL, PollInterval

#: Maximum number of builds to follow at once.
MAX_FOLLOWED = 50
#: Events that may wait to be displayed, so that a slow terminal slows down the requests.
_MAX_PENDING = 1000


class _Stopped(BaseException):
    """Ends the thread that follows a build."""


def follow_several(
    session: Callable[[], HubSession],
    ids: Sequence[int],
    *,
    interval: PollInterval = DEFAULT_POLL_INTERVAL,
) -> Iterator[tuple[int, Event]]:
    """Yield the events of several tasks, each with the ID of the followed task, until all have ended.

    :param session: makes an anonymous session, for each task; koji's sessions cannot be shared between threads
    :raises LostContactError: if the hub did not respond within the timeout; the builds continue
    :raises RefusedError: if there is no such task
    """
    return _Followers(session, interval).events(ids)


class _Followers:
    def __init__(self, session: Callable[[], HubSession], interval: PollInterval) -> None:
        self._session = session
        self._interval = interval
        self._stop = threading.Event()
        self._queue: queue.Queue[tuple[int, Event | FedpkgContainerError | None]] = queue.Queue(_MAX_PENDING)

    def events(self, ids: Sequence[int]) -> Iterator[tuple[int, Event]]:
        for task_id in ids:
            threading.Thread(target=self._follow, args=(task_id,), name=f"task-{task_id}", daemon=True).start()
        running = len(ids)
        try:
            while running:
                task_id, event = self._next()
                if event is None:
                    running -= 1
                elif isinstance(event, FedpkgContainerError):
                    raise event
                else:
                    yield task_id, event
        finally:
            self._stop.set()

    def _next(self) -> tuple[int, Event | FedpkgContainerError | None]:
        """Return the next event; wait in short steps, because a wait without a limit cannot be interrupted."""
        while True:
            try:
                return self._queue.get(timeout=0.2)
            except queue.Empty:
                continue

    def _follow(self, task_id: int) -> None:
        """Follow one task; put its events into the queue, an error if there was one, and None at the end."""
        with contextlib.suppress(_Stopped):
            try:
                session = self._session()
                with hub_errors(session.baseurl):
                    for event in follow(session, task_id, interval=self._interval, sleep=self._sleep):
                        self._put(task_id, event)
            except FedpkgContainerError as error:
                self._put(task_id, error)
            finally:
                self._put(task_id, None)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def _put(self, task_id: int, event: Event | FedpkgContainerError | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put((task_id, event), timeout=0.2)
            except queue.Full:
                continue
            return
        raise _Stopped
