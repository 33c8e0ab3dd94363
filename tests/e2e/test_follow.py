"""Following tasks on a hub whose builder is this test: what it does, it does at the moment it wants."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import koji
import koji.xmlrpcplus
import pytest

from fedpkg_container.hub.events import Event, Finished, LogLines, TaskChanged
from fedpkg_container.hub.follow import follow
from tests.support.box_hub import RunningHub, running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


def _session(hub: RunningHub, certificate: str) -> Any:
    session = koji.ClientSession(hub.url, {"serverca": hub.ca, "max_retries": 0, "timeout": 30})
    session.ssl_login(certificate, None, hub.ca)
    return session


@pytest.fixture
def packager(hub: RunningHub) -> Any:
    return _session(hub, hub.packager)


@pytest.fixture
def builder(hub: RunningHub) -> Any:
    session = _session(hub, hub.host)
    session.exclusiveSession(force=True)
    return session


@pytest.fixture
def task(packager: Any, builder: Any) -> int:
    """A build that this builder runs."""
    made = int(packager.buildContainer("git+https://h/p#1", "target", {"git_branch": "x", "scratch": True}))
    builder.host.openTask(made)
    return made


def _upload(builder: Any, task_id: int, folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    builder.uploadWrapper(str(folder / name), koji.pathinfo.taskrelpath(task_id), overwrite=True)


def _fail(builder: Any, task_id: int, message: str) -> None:
    builder.host.failTask(task_id, koji.xmlrpcplus.dumps(koji.xmlrpcplus.Fault(1005, message)))


def _events(packager: Any, task_id: int) -> list[Event]:
    """Everything that following tells, at most for half a minute."""
    told: list[Event] = []
    thread = threading.Thread(target=lambda: told.extend(follow(packager, task_id)), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive(), "following did not end"
    return told


def _lines(events: list[Event]) -> list[str]:
    return [line for event in events if isinstance(event, LogLines) for line in event.lines]


def test_the_end_is_noticed_although_a_child_never_ends(packager: Any, builder: Any, task: int) -> None:
    builder.host.subtask("createContainer", [{}], task, label="x86_64", arch="x86_64")
    _fail(builder, task, "the parent died")
    events = _events(packager, task)
    assert isinstance(events[-1], Finished)
    assert events[-1].fault == "the parent died"


def test_the_last_line_is_shown_before_the_end(packager: Any, builder: Any, task: int, tmp_path: Path) -> None:
    _upload(builder, task, tmp_path, "container-build.log", "one\ntwo without a newline")
    _fail(builder, task, "why")
    events = _events(packager, task)
    assert _lines(events) == ["one", "two without a newline"]
    states = [event.task.state for event in events if isinstance(event, TaskChanged)]
    assert states == ["FAILED"]


def test_a_log_that_was_begun_anew_is_read_from_its_start(
    packager: Any, builder: Any, task: int, tmp_path: Path
) -> None:
    _upload(builder, task, tmp_path, "container-build.log", "first attempt, a long line\nand another one\n")
    told: list[Event] = []
    seen = threading.Event()

    def watch() -> None:
        for event in follow(packager, task):
            told.append(event)
            if isinstance(event, LogLines) and "and another one" in event.lines:
                seen.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    assert seen.wait(timeout=30)
    _upload(builder, task, tmp_path, "container-build.log", "second attempt\n")
    deadline = time.monotonic() + 20
    while "second attempt" not in _lines(told) and time.monotonic() < deadline:
        time.sleep(0.1)
    _fail(builder, task, "why")
    thread.join(timeout=30)
    assert _lines(told) == ["first attempt, a long line", "and another one", "second attempt"]


def test_what_moves_a_terminal_is_shown_harmlessly(packager: Any, builder: Any, task: int, tmp_path: Path) -> None:
    _upload(builder, task, tmp_path, "container-build.log", "a\x1b[2Jb\n10%\r20%\r100%\n\u202eevil\n")
    _fail(builder, task, "bad\u202e fault")
    events = _events(packager, task)
    assert _lines(events) == ["a\ufffd[2Jb", "100%", "\ufffdevil"]
    assert isinstance(events[-1], Finished)
    assert events[-1].fault == "bad\ufffd fault"


def test_a_client_that_says_nothing_holds_nobody_up(hub: RunningHub, packager: Any) -> None:
    port = int(hub.url.split(":")[2].split("/")[0])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    packager.new_session()
    packager.opts["timeout"] = 20
    assert packager.getAPIVersion() == 1
    for each in silent:
        each.close()


def test_what_the_hub_keeps_is_for_its_owner_alone(hub: RunningHub) -> None:
    folder = Path(hub.ca).parents[1]
    assert folder.stat().st_mode & 0o777 == 0o700
    kept = [path for name in ("pki", "hub") for path in (folder / name).rglob("*") if path.is_file()]
    assert kept
    assert {path.name for path in kept if path.suffix in (".pem", ".log") and path.stat().st_mode & 0o077} == set()
