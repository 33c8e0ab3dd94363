# SPDX-License-Identifier: GPL-2.0-or-later
"""What a pod, or a user who can write to objects of a cluster, sends to a builder: bounded, printable, not trusted."""

from __future__ import annotations

import contextlib
import io
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import urllib3

from fedpkg_container.cluster import client as cluster_client
from fedpkg_container.cluster import logs, objects, reasons
from fedpkg_container.cluster.check import _Output
from fedpkg_container.cluster.client import ClusterClient, ClusterError, ClusterUnavailableError, Stream
from fedpkg_container.cluster.logs import LogAssembler
from fedpkg_container.cluster.manifests import JOB
from fedpkg_container.cluster.streams import LogFollow, LogLine, PodWatch
from fedpkg_container.cluster.sweeper import leftovers, sweep
from fedpkg_container.errors import UsageError
from fedpkg_container.model.pod import TerminationMessage

#: Text with control characters of terminals, and longer than any text in a cluster.
ESCAPES, HUGE = "\x1b]0;x\x07\x1b[2J\u202e", "x" * 10**6
#: Values of types that fields do not have.
STRANGE: list[Any] = [None, 1, -1, 1.5, True, "", "text", ESCAPES, HUGE, [], {}, [1], {"a": 1}, [[]], [{}], [None]]


class _Responses(urllib3.HTTPResponse):
    """A response whose content is generated."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__(io.BytesIO(b""), preload_content=False)
        self._chunks = chunks

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:  # type: ignore[override]
        yield from self._chunks


def _lines(chunks: list[bytes], limit: int) -> list[bytes]:
    return list(Stream(_Responses(iter(chunks))).lines(limit))


def test_a_line_without_an_end() -> None:
    """It is read in parts, so that no memory is needed for it."""
    parts = _lines([b"a" * 100] * 50 + [b"b\nc\nd"], 250)
    assert parts[-1] == b"c"
    assert b"".join(parts) == b"a" * 5000 + b"bc", "the incomplete last line is dropped"
    assert max(map(len, parts)) <= 350


def test_lines_in_any_chunks() -> None:
    content = b"one\n\nthree\n" + b"4" * 99 + b"\nrest"
    for size in (1, 2, 7, 1000):
        chunks = [content[at : at + size] for at in range(0, len(content), size)]
        assert _lines(chunks, 1000) == [b"one", b"", b"three", b"4" * 99]


def test_a_record_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_JOINED", 1000)
    delivered: list[bytes] = []
    assembler = LogAssembler(delivered.append, tmp_path / "held")
    for number in range(1, 101):
        assembler.feed(b"%d+%s" % (number, b"x" * 100))
        assembler.feed(b"%d+" % (number + 1000,))  # beyond a gap
    assert max(map(len, delivered)) <= 1100
    assembler.give_up()
    assert b"".join(delivered).count(b"x") == 10_000


@pytest.mark.parametrize(
    "text",
    [
        "[" * 4096,
        '{"format": 1, "records": ' + "9" * 4000 + "}",
        '{"format": 1, "records": -1}',
        '{"format": 1, "records": 1e400}',
        '{"format": 1, "records": [], "artifact": {}, "error": [1], "solution": 7}',
        json.dumps({"format": 1, "records": 0, "error": ESCAPES * 1000, "artifact": HUGE, "solution": ESCAPES}),
    ],
)
def test_a_termination_message(text: str) -> None:
    message = TerminationMessage.decode(text)
    if message is not None:
        assert message.records == 0
        for each in (message.artifact, message.error, message.solution):
            assert len(each) <= 280
            assert "\x1b" not in each
            assert "\u202e" not in each


@pytest.mark.parametrize("version", [HUGE, ESCAPES, [[]], {"a": HUGE}, None])
def test_a_termination_message_of_another_version(version: object) -> None:
    with pytest.raises(UsageError) as caught:
        TerminationMessage.decode(json.dumps({"format": version}))
    assert len(caught.value.reason) < 200
    assert caught.value.reason.isprintable()


def _strange_pods() -> Iterator[dict[str, Any]]:
    for value in STRANGE:
        yield {"metadata": {"name": "p", "deletionTimestamp": value}, "status": value, "spec": value}
        for name in ("phase", "reason", "message", "conditions", "containerStatuses"):
            yield {"metadata": {"name": "p"}, "status": {name: value}}
        for name in ("type", "status", "reason", "message"):
            condition = {"type": "PodScheduled", "status": "False", name: value}
            yield {"metadata": {"name": "p"}, "status": {"conditions": [condition]}}
        for state in ({"waiting": value}, {"terminated": value}, {"running": value}, value):
            yield _with_container({"name": "build", "state": state})
        for name in ("reason", "message", "exitCode"):
            for step in ("waiting", "terminated"):
                yield _with_container({"name": "build", "state": {step: {name: value}}})
        yield _with_container({"name": value, "imageID": value})
        yield _with_container({"name": "build", "imageID": value})


def _with_container(status: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"phase": "Failed", "containerStatuses": [status] * 3}}


def test_the_state_of_a_pod() -> None:
    """Whatever is in it, it is reduced to what the engine reads, which is bounded and printable."""
    count = 0
    for found in _strange_pods():
        pod = objects.pod_state(found, "build")
        assert len(json.dumps(pod)) < 50_000
        for text in _texts_of(pod):
            assert text.isprintable(), found
            assert len(text) <= 600
        count += 1
    assert count > 300


def _texts_of(pod: objects.Object) -> Iterator[str]:
    waiting, ended = reasons.waiting(pod, [], "build"), reasons.ended(pod, "build")
    yield reasons.image_id(pod, "build")
    yield str(waiting or "")
    if ended:
        yield from (ended.reason, ended.text, str(ended.exit_code))
        assert len(ended.message) <= objects.MAX_TEXT
    reasons.started(pod, "build")


@pytest.mark.parametrize("metadata", [*STRANGE, *({"name": each} for each in STRANGE if each not in ("text", ESCAPES))])
def test_a_pod_without_a_name(metadata: object) -> None:
    with pytest.raises(ClusterError, match=r"an object without metadata\.name"):
        objects.pod_state({"metadata": metadata}, "build")


def test_events_of_a_job() -> None:
    for value in STRANGE:
        for event in (value, {"reason": "FailedCreate", "message": value}, {"reason": value, "lastTimestamp": value}):
            waiting = reasons.waiting(None, objects.events({"items": [event] * 3}), "build")
            assert waiting is not None
            assert len(str(waiting)) < 600
            assert str(waiting).isprintable()
        objects.events({"items": value})


class _Client:
    """A client with one response for all requests."""

    def __init__(self, response: dict[str, Any] | None = None, lines: list[bytes] | None = None) -> None:
        self.response, self.content = response or {}, lines or []
        self.requests: list[str] = []

    def request(self, method: str, path: str, **_: object) -> dict[str, Any]:
        self.requests.append(f"{method} {path}")
        return self.response

    def server_time(self) -> float:
        return 2.0e9

    @contextlib.contextmanager
    def stream(self, *_: object, **__: object) -> Iterator[Any]:
        yield self

    def lines(self, _: int) -> list[bytes]:
        return self.content

    def interrupt(self) -> None: ...


def _client(*arguments: Any) -> ClusterClient:
    return cast(ClusterClient, _Client(*arguments))


@pytest.mark.parametrize("items", [1, "text", {"a": 1}, [1], [{}], [{"metadata": {}}], [{"metadata": {"name": 1}}]])
def test_an_invalid_list(items: object) -> None:
    events: queue.Queue[object] = queue.Queue()
    with pytest.raises(ClusterError, match="unexpected response of the API server"):
        PodWatch(_client({"items": items}), "/pods", "a=b", "build", events).read()
    with pytest.raises(ClusterError, match="unexpected response of the API server"):
        leftovers(_client({"items": items}), JOB, "builds", "https://hub")
    assert events.empty()


@pytest.mark.parametrize(
    "line",
    [b"", b"x", b"1", b"[]", b"{}", b'{"type": "ADDED"}', b'{"type": "ADDED", "object": []}', b"[" * 10**5,
     b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": "1"}}}', b"\xff"],
)  # fmt: skip
def test_an_invalid_event(line: bytes) -> None:
    """The watch starts again with a list, after a pause."""
    events: queue.Queue[object] = queue.Queue()
    watch = PodWatch(_client({"metadata": {"resourceVersion": "1"}}, [line]), "/pods", "a=b", "build", events)
    with pytest.raises(ClusterUnavailableError, match="unexpected event of a watch") as caught:
        watch.read()
    assert len(caught.value.reason) < 700
    assert watch._version == ""


def test_parts_of_a_line_do_not_change_where_a_log_is_resumed() -> None:
    """Only the first part of a long line has a timestamp; a program can print anything into the others."""
    events: queue.Queue[object] = queue.Queue()
    lines = [b"2026-01-01T00:00:01.123456789Z 1 a", b"part&container=other x", b"2026-13", b"9999 text"]
    follow = LogFollow(_client({}, lines), "/log", "build", events, threading.Event())
    follow._wait = 0.0
    follow.read()
    assert follow._timestamp == "2026-01-01T00:00:01.123456789Z"
    found = [event.text for event in events.queue if isinstance(event, LogLine)]
    assert found == [b"1 a", *lines[1:]], "nothing is lost"


@pytest.mark.parametrize("label", ["", "x", "-1", "²", "٣", "1" * 30, "7x", None, 7])
def test_invalid_task_labels(label: object) -> None:
    item = {"metadata": {"name": "j", "creationTimestamp": "2026-01-01T00:00:00Z",
                         "labels": {"fedpkg-container/task": label}}}  # fmt: skip
    (found,) = leftovers(_client({"items": [item]}), JOB, "builds", "https://hub")
    assert found.task_id == 0


@pytest.mark.parametrize("created", [None, 1, "", "x", HUGE, "2026-02-30T00:00:00Z", "2026-01-01", ESCAPES])
def test_invalid_times(created: object) -> None:
    item = {"metadata": {"name": "j", "creationTimestamp": created}}
    with pytest.raises(ClusterError, match="unexpected response of the API server") as caught:
        leftovers(_client({"items": [item]}), JOB, "builds", "https://hub")
    assert len(caught.value.reason) < 200


def test_a_name_with_path_characters() -> None:
    """It stays one part of the address."""
    item = {"metadata": {"name": "../../../api/v1/namespaces/x?a=b#c", "creationTimestamp": "2026-01-01T00:00:00.5Z"}}
    client = _Client({"items": [item]})
    sweep(cast(ClusterClient, client), JOB, "builds", "https://hub", ended=set)
    deleted = [each for each in client.requests if each.startswith("DELETE")]
    assert len(deleted) == 2
    for each in deleted:
        assert each.endswith("/..%2F..%2F..%2Fapi%2Fv1%2Fnamespaces%2Fx%3Fa%3Db%23c")


@pytest.mark.parametrize(
    "body", [b"[" * 10**5, ESCAPES.encode() * 10**5, json.dumps({"message": HUGE}).encode(), b"[]"]
)
def test_an_error_of_the_server(body: bytes) -> None:
    response = urllib3.HTTPResponse(io.BytesIO(body), status=403, preload_content=False)
    error = cluster_client._error("GET", "https://x", response)
    assert len(error.reason) < 1200
    assert error.reason.isprintable()


def test_results_of_a_check() -> None:
    shown: list[str] = []
    output = _Output(shown.append)
    output.append_output(b"[" * 10**5)
    output.append_output(json.dumps({ESCAPES: ESCAPES, "a": [1], "b": "x\ny"}).encode())
    assert output.results.pop("a") == "[1]"
    assert output.results.pop("b") == "x y"
    (last,) = output.results.items()
    assert all(text.isprintable() for text in (*last, *shown))
