# SPDX-License-Identifier: GPL-2.0-or-later
"""The watch of a build's pod and the follow of its log, each in a thread that reports to one queue."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.cluster import objects
from fedpkg_container.cluster.client import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    ClusterClient,
    ClusterError,
    ClusterUnavailableError,
    Stream,
    quoted,
)
from fedpkg_container.cluster.logs import split_timestamp

_log = logging.getLogger(__name__)

#: Seconds after which the server ends a watch, and for which a log may be silent before it is opened again: a
#: connection that was lost without notice looks the same as a silent build.
WATCH_TIMEOUT, SILENCE_TIMEOUT = 300, 300.0
#: Longest event of a watch (etcd stores objects of 1.5 MiB), and longest line of a log that is read in one part, bytes:
#: the API joins what the container runtime split.
MAX_EVENT_SIZE, MAX_LINE_SIZE = 8 << 20, 64 << 10
#: Items that wait in the queue: a log that is read faster than it is stored makes the connection wait.
QUEUE_SIZE = 1000
#: Seconds between attempts to put an item into a full queue.
_RETRY_PUT = 0.5
#: Seconds for a thread to end.
JOIN_TIMEOUT = 5.0


@dataclass(frozen=True)
class PodSeen:
    """The state of the pod.

    :param pod: None if it does not exist
    :param deleted: whether it was deleted
    """

    pod: Mapping[str, Any] | None
    deleted: bool = False


@dataclass(frozen=True)
class LogLine:
    """A line of the log."""

    text: bytes
    timestamp: str


@dataclass(frozen=True)
class LogEnd:
    """The log has been read to its end."""


@dataclass(frozen=True)
class Failed:
    """A request failed.

    :param since: time of the first failure since the last successful request (``time.monotonic``)
    """

    error: ClusterError
    since: float


@dataclass(frozen=True)
class Works:
    """A request succeeded after others had failed."""


class Reader:
    """A thread that reads from the API server until it is stopped.

    :param events: queue for what it finds
    """

    def __init__(self, events: queue.Queue[object], name: str) -> None:
        self.events = events
        self.stopped = threading.Event()
        self._stream: Stream | None = None
        self._failing_since = 0.0
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and its connection."""
        self.stopped.set()
        if (stream := self._stream) is not None:
            stream.interrupt()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)

    def put(self, event: object) -> None:
        """Report an event; wait while the queue is full."""
        while not self.stopped.is_set():
            with contextlib.suppress(queue.Full):
                self.events.put(event, timeout=_RETRY_PUT)
                return

    def read(self) -> bool:
        """Read until the connection ends; return whether there is nothing more to read.

        :raises ClusterError: if a request fails
        """
        raise NotImplementedError

    def works(self) -> None:
        """Note that the server responded."""
        if self._failing_since:
            self._failing_since = 0.0
            self.put(Works())

    def lines(self, client: ClusterClient, path: str, query: Mapping[str, str | int], timeout: float, limit: int,
              handle: Callable[[bytes], None]) -> None:  # fmt: skip
        """Read a stream, line by line, until it ends or this reader is stopped.

        :param limit: longer lines are handled in parts, bytes
        """
        with client.stream(path, query=query, timeout=timeout) as stream:
            self._stream = stream
            try:
                if self.stopped.is_set():  # before ``stop`` could see the stream
                    return
                self.works()
                for line in stream.lines(limit):
                    if self.stopped.is_set():
                        return
                    handle(line)
            finally:
                self._stream = None

    def _loop(self) -> None:
        pause = FIRST_PAUSE
        while not self.stopped.is_set():
            try:
                if self.read():
                    return
                pause = FIRST_PAUSE
            except ClusterError as error:
                self._failing_since = self._failing_since or time.monotonic()
                self.put(Failed(error, self._failing_since))
                pause = min(2 * pause, LONGEST_PAUSE)
                if isinstance(error, ClusterUnavailableError):
                    pause = max(pause, error.retry_after)
                _log.info("%s: retrying in %.1f s: %s", self._thread.name, pause, error.reason)
            self.stopped.wait(pause)


class PodWatch(Reader):
    """Watches the pods of one Job or Build.

    :param path: of the namespace's pods
    :param selector: label selector
    :param container: whose state is of interest
    """

    def __init__(
        self, client: ClusterClient, path: str, selector: str, container: str, events: queue.Queue[object]
    ) -> None:
        super().__init__(events, "pod-watch")
        self._client, self._path, self._selector, self._container = client, path, selector, container
        self._version = ""

    def read(self) -> bool:
        """List the pods unless a version is known, and watch from there."""
        if not self._version:
            response = self._client.request("GET", self._path, query={"labelSelector": self._selector})
            self.works()
            items = objects.items_of(response)
            self.put(PodSeen(objects.pod_state(items[-1], self._container) if items else None))
            self._version = objects.text_at(response, "metadata", "resourceVersion")
        query: dict[str, str | int] = {
            "watch": "true",
            "labelSelector": self._selector,
            "resourceVersion": self._version,
            "timeoutSeconds": WATCH_TIMEOUT,
            "allowWatchBookmarks": "true",
        }
        try:
            self.lines(self._client, self._path, query, WATCH_TIMEOUT + 30.0, MAX_EVENT_SIZE, self._handle)
        except ClusterError as error:
            if error.status == 410:
                self._version = ""
                return False
            raise
        return False

    def _handle(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, pod = event["type"], event["object"]
            if kind == "ERROR":
                self._version = ""  # 410: the version is too old; other errors are found by the next request
                return
            version = objects.text_at(pod, "metadata", "resourceVersion")
            if kind in ("ADDED", "MODIFIED", "DELETED"):
                self.put(PodSeen(objects.pod_state(pod, self._container), deleted=kind == "DELETED"))
            self._version = version
        except (ValueError, LookupError, TypeError, RecursionError, ClusterError) as error:
            self._version = ""
            raise ClusterUnavailableError(f"unexpected event of a watch: {line[:200]!r}") from error


class LogFollow(Reader):
    """Follows the log of a container, across lost connections.

    :param path: of the pod's log
    :param ended: set when the container has ended: then the end of the log is its last line
    """

    def __init__(
        self, client: ClusterClient, path: str, container: str, events: queue.Queue[object], ended: threading.Event
    ) -> None:
        super().__init__(events, "log-follow")
        self._client, self._path, self._container, self._ended = client, path, container, ended
        self._timestamp = ""
        self._wait = FIRST_PAUSE

    def read(self) -> bool:
        """Follow from the last line on; done if the container had ended before the request.

        The log of a container ends before the API shows that the container has ended: wait for that before the next
        request, longer each time that a request brought no line.
        """
        was_ended = self._ended.is_set()
        query: dict[str, str | int] = {"container": self._container, "follow": "true", "timestamps": "true"}
        if self._timestamp:
            query["sinceTime"] = self._timestamp
        try:
            self.lines(self._client, self._path, query, SILENCE_TIMEOUT, MAX_LINE_SIZE, self._handle)
        except ClusterError as error:
            if error.status in (400, 404) and was_ended:  # the pod is gone, or its container never started
                self.put(LogEnd())
                return True
            if error.status != 400:  # 400: the container is being created
                raise
        if was_ended:
            self.put(LogEnd())
            return True
        until = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, LONGEST_PAUSE)
        while time.monotonic() < until and not self._ended.is_set() and not self.stopped.wait(FIRST_PAUSE):
            pass
        return False

    def _handle(self, line: bytes) -> None:
        timestamp, text = split_timestamp(line)
        if timestamp != self._timestamp:  # the API repeats the last line
            self._wait = FIRST_PAUSE
        self._timestamp = timestamp or self._timestamp
        self.put(LogLine(text, timestamp))


def pods_path(namespace: str) -> str:
    """Return the path of a namespace's pods."""
    return f"/api/v1/namespaces/{quoted(namespace)}/pods"


def log_path(namespace: str, pod: str) -> str:
    """Return the path of a pod's log."""
    return f"{pods_path(namespace)}/{quoted(pod)}/log"


def secrets_path(namespace: str) -> str:
    """Return the path of a namespace's Secrets."""
    return f"/api/v1/namespaces/{quoted(namespace)}/secrets"
