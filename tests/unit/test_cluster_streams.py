# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads that read from the API server end when they are stopped, and report what fails."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from fedpkg_container.cluster import streams
from fedpkg_container.cluster.client import ClusterClient, ClusterError
from fedpkg_container.cluster.streams import Failed, LogEnd, LogFollow, LogLine, PodSeen, PodWatch


class _Client:
    """A client with prepared responses.

    :param opened: lines of each stream; None: it waits until it is interrupted
    """

    def __init__(self, opened: list[list[bytes] | ClusterError | None], version: str = "5") -> None:
        self.opened, self.version = opened, version
        self.queries: list[dict[str, Any]] = []
        self.lists = 0
        self.before_open: Callable[[], object] = lambda: None

    def request(self, _method: str, _path: str, **_options: object) -> dict[str, Any]:
        self.lists += 1
        return {"metadata": {"resourceVersion": self.version}, "items": []}

    @contextlib.contextmanager
    def stream(self, _path: str, *, query: dict[str, Any], timeout: float) -> Iterator[_Stream]:
        assert timeout
        self.queries.append(query)
        self.before_open()
        found = self.opened.pop(0) if self.opened else None
        if isinstance(found, ClusterError):
            raise found
        yield _Stream(found)


class _Stream:
    def __init__(self, content: list[bytes] | None) -> None:
        self._content = content
        self._interrupted = threading.Event()

    def lines(self, limit: int) -> Iterator[bytes]:
        assert limit
        yield from self._content or []
        if self._content is None:
            self._interrupted.wait(60)

    def interrupt(self) -> None:
        self._interrupted.set()


def _event(kind: str, version: str, **pod: Any) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"name": "p", "resourceVersion": version}, **pod}}).encode()


def _watch(client: _Client, events: queue.Queue[object]) -> PodWatch:
    return PodWatch(cast(ClusterClient, client), "/pods", "a=b", "build", events)


def _follow(client: _Client, events: queue.Queue[object], ended: threading.Event) -> LogFollow:
    return LogFollow(cast(ClusterClient, client), "/log", "build", events, ended)


def _alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_a_reader_that_is_stopped_while_it_connects() -> None:
    client, events = _Client([]), queue.Queue[object]()
    watch = _watch(client, events)
    client.before_open = lambda: watch.stopped.wait(10)
    watch.start()
    assert isinstance(events.get(timeout=10), PodSeen)
    watch.stop()
    assert not _alive("pod-watch")


def test_a_reader_that_is_stopped_while_it_waits() -> None:
    client, events = _Client([]), queue.Queue[object]()
    watch = _watch(client, events)
    watch.start()
    assert isinstance(events.get(timeout=10), PodSeen)
    while not watch._stream:
        watch.stopped.wait(0.01)
    watch.stop()
    assert not _alive("pod-watch")


def test_a_reader_that_is_stopped_while_the_queue_is_full() -> None:
    client = _Client([[b"2026-01-01T00:00:01.5Z 1 a", b"2026-01-01T00:00:02.5Z 2 b", b"2026-01-01T00:00:03.5Z 3 c"]])
    events: queue.Queue[object] = queue.Queue(1)
    follow = _follow(client, events, threading.Event())
    follow.start()
    while not events.full():
        follow.stopped.wait(0.01)
    follow.stop()
    assert not _alive("log-follow")


def test_a_watch_continues_from_the_last_version() -> None:
    client, events = _Client([[_event("ADDED", "7"), _event("BOOKMARK", "9")]]), queue.Queue[object]()
    watch = _watch(client, events)
    watch.read()
    client.opened = [[]]
    watch.read()
    assert [query["resourceVersion"] for query in client.queries] == ["5", "9"]
    assert client.lists == 1
    assert [type(each) for each in events.queue] == [PodSeen, PodSeen]


def test_a_watch_that_is_too_old_lists_again() -> None:
    expired = json.dumps({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}).encode()
    client, events = _Client([[expired], [], ClusterError("gone", status=410), []]), queue.Queue[object]()
    watch = _watch(client, events)
    for _ in range(4):
        watch.read()
    assert client.lists == 3


def test_a_log_continues_from_the_last_line() -> None:
    client, events, ended = (
        _Client([[b"2026-01-01T00:00:01.5Z 1 a", b"2026-01-01T00:00:02.5Z 2 b"], []]),
        queue.Queue[object](),
        threading.Event(),
    )
    follow = _follow(client, events, ended)
    assert follow.read() is False
    ended.set()
    assert follow.read() is True
    assert [query.get("sinceTime") for query in client.queries] == [None, "2026-01-01T00:00:02.5Z"]
    assert list(events.queue) == [
        LogLine(b"1 a", "2026-01-01T00:00:01.5Z"),
        LogLine(b"2 b", "2026-01-01T00:00:02.5Z"),
        LogEnd(),
    ]


def test_a_log_of_a_pod_that_is_gone() -> None:
    client, events, ended = _Client([ClusterError("x", status=404)]), queue.Queue[object](), threading.Event()
    ended.set()
    assert _follow(client, events, ended).read() is True
    assert list(events.queue) == [LogEnd()]


def test_a_log_of_a_container_that_is_being_created() -> None:
    client, events = _Client([ClusterError("x", status=400)]), queue.Queue[object]()
    assert _follow(client, events, threading.Event()).read() is False
    assert list(events.queue) == []


def test_a_log_that_ended_before_its_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests without a new line become rare, until the container has ended."""
    monkeypatch.setattr(streams, "FIRST_PAUSE", 0.001)
    created = ClusterError("ContainerCreating", status=400)
    client, events, ended = (
        _Client([created, [], [], [b"2026-01-01T00:00:01.5Z 1 a"], [b"2026-01-01T00:00:01.5Z 1 a"]]),
        queue.Queue[object](),
        threading.Event(),
    )
    follow = _follow(client, events, ended)
    waits = []
    for _ in range(5):
        assert follow.read() is False
        waits.append(round(follow._wait, 3))
    assert waits == [0.002, 0.004, 0.008, 0.002, 0.004]
    follow._wait = 600.0
    threading.Timer(0.05, ended.set).start()
    client.opened = [[]]
    assert follow.read() is False
    follow._wait, client.opened = 600.0, [[]]
    assert follow.read() is True


def test_a_failure_is_reported_with_its_start() -> None:
    client, events = _Client([ClusterError("x", status=500), ClusterError("y", status=500)]), queue.Queue[object]()
    follow = _follow(client, events, threading.Event())
    follow.start()
    first, second = events.get(timeout=10), events.get(timeout=10)
    third = events.get(timeout=10)
    follow.stop()
    assert isinstance(first, Failed)
    assert isinstance(second, Failed)
    assert first.since == second.since
    assert isinstance(third, streams.Works)
