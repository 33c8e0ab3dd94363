# SPDX-License-Identifier: GPL-2.0-or-later
"""Following tasks on a hub whose builder is this test, which controls the time of each event."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.errors import LostContactError
from fedpkg_container.hub.events import ContactLost, ContactRegained, Event, Finished, LogLines, Responded, TaskChanged
from fedpkg_container.hub.follow import MAX_REFUSALS, follow
from fedpkg_container.hub.session import log_out
from fedpkg_container.model.build import BuildResult
from fedpkg_container.model.polling import PollInterval
from tests.support.box_hub import RunningHub
from tests.support.played import PlayedBuilder, session
from tests.support.proxy import lossy_proxy
from tests.support.scripted_hub import ScriptedBuild, answering
from tests.support.waiting import PATIENCE, eventually

QUICK = PollInterval(minimum=0.1, maximum=0.2, hub_timeout=PATIENCE)


def _events(packager: Any, task_id: int, **options: Any) -> list[Event]:
    """Return the events of following a task, which must end in time."""
    events: list[Event] = []
    thread = threading.Thread(target=lambda: events.extend(follow(packager, task_id, **options)), daemon=True)
    thread.start()
    thread.join(timeout=PATIENCE)
    assert not thread.is_alive(), "following did not end"
    return events


def _lines(events: list[Event]) -> list[str]:
    return [line for event in events if isinstance(event, LogLines) for line in event.lines]


def test_end_is_noticed_while_a_child_keeps_running(played: PlayedBuilder, task: int) -> None:
    played.builder.host.subtask("createContainer", [{}], task, label="x86_64", arch="x86_64")
    played.fail(task, "the parent died")
    events = _events(played.packager, task)
    assert isinstance(events[-1], Finished)
    assert events[-1].fault == "the parent died"


def test_last_line_precedes_the_end(played: PlayedBuilder, task: int) -> None:
    played.log(task, "container-build.log", "one\ntwo without a newline")
    played.fail(task, "why")
    events = _events(played.packager, task)
    assert _lines(events) == ["one", "two without a newline"]
    states = [event.task.state for event in events if isinstance(event, TaskChanged)]
    assert states == ["FAILED"], "an ended task is not replayed as running"


def test_truncated_log_is_read_from_its_start(played: PlayedBuilder, task: int) -> None:
    played.log(task, "container-build.log", "first attempt, a long line\nand another one\n")
    events: list[Event] = []
    seen = threading.Event()
    first = played.packager.getTaskInfo(task)["start_ts"]

    def watch() -> None:
        for event in follow(played.packager, task):
            events.append(event)
            if isinstance(event, LogLines) and "and another one" in event.lines:
                seen.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    assert seen.wait(timeout=PATIENCE)
    played.builder.host.freeTasks([task])
    played.builder.host.openTask(task)
    eventually(
        lambda: any(isinstance(event, TaskChanged) and event.task.started != first for event in list(events)),
        lambda: events,
    )
    played.log(task, "container-build.log", "second attempt\n")
    eventually(lambda: "second attempt" in _lines(list(events)), lambda: events)
    played.fail(task, "why")
    thread.join(timeout=PATIENCE)
    assert _lines(events) == ["first attempt, a long line", "and another one", "second attempt"]


def test_control_characters_in_logs_are_replaced(played: PlayedBuilder, task: int) -> None:
    played.log(task, "container-build.log", "a\x1b[2Jb\n10%\r20%\r100%\n\u202eevil\n")
    played.fail(task, "bad\u202e fault")
    events = _events(played.packager, task)
    assert _lines(events) == ["a\ufffd[2Jb", "100%", "\ufffdevil"]
    assert isinstance(events[-1], Finished)
    assert events[-1].fault == "bad\ufffd fault"


def test_silent_clients_do_not_block_others(hub: RunningHub, played: PlayedBuilder) -> None:
    port = int(hub.url.split(":")[2].split("/")[0])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    packager = played.packager
    packager.new_session()
    packager.opts["timeout"] = 20
    assert packager.getAPIVersion() == 1
    for each in silent:
        each.close()


def test_files_of_the_hub_are_private(hub: RunningHub) -> None:
    directory = Path(hub.ca).parents[1]
    assert directory.stat().st_mode & 0o777 == 0o700
    kept = [path for name in ("pki", "hub") for path in (directory / name).rglob("*") if path.is_file()]
    assert kept
    assert {path.name for path in kept if path.suffix in (".pem", ".log") and path.stat().st_mode & 0o077} == set()


def _long_log() -> bytes:
    """Return three megabytes of lines of various lengths, some not ASCII."""
    return "".join(f"{number} {'é' * (number % 97)}\n" for number in range(25_000)).encode()


def test_broken_connections_lose_and_repeat_no_lines(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    log = _long_log()
    played.log(task, "container-build.log", log)
    played.fail(task, "why")
    with lossy_proxy(int(hub.url.split(":")[2].split("/")[0]), cut_after=2_000_000) as proxy:
        events = _events(session(hub, hub.packager, port=proxy.port), task, interval=QUICK)
        assert proxy.lost >= 2
    content = "".join(f"{line}\n" for line in _lines(events)).encode()
    assert hashlib.sha256(content).hexdigest() == hashlib.sha256(log).hexdigest()


def test_expired_session_is_renewed_once(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    logins = []
    forgotten = session(hub, hub.packager)

    def login() -> None:
        logins.append(1)
        forgotten.setSession(None)
        forgotten.ssl_login(hub.packager, None, hub.ca)

    _forget(forgotten)
    played.fail(task, "why")
    events = _events(forgotten, task, login=login, interval=QUICK)
    assert isinstance(events[-1], Finished)
    assert logins == [1]


def _forget(forgotten: Any) -> None:
    """End a session on the hub without the knowledge of its owner."""
    other = koji.ClientSession(forgotten.baseurl, dict(forgotten.opts))
    other.setSession(dict(forgotten.sinfo))
    log_out(other)


def test_following_continues_without_login(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    forgotten = session(hub, hub.packager)
    _forget(forgotten)
    played.fail(task, "why")
    events = _events(forgotten, task, login=lambda: None, interval=QUICK)
    assert isinstance(events[-1], Finished)
    assert not forgotten.logged_in


def test_session_that_expires_while_the_hub_is_down(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    forgotten = session(hub, hub.packager)
    attempts: list[int] = []

    def login() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise LostContactError("the hub cannot be reached")
        forgotten.setSession(None)
        forgotten.ssl_login(hub.packager, None, hub.ca)

    _forget(forgotten)
    played.fail(task, "why")
    events = _events(forgotten, task, login=login, interval=QUICK)
    assert isinstance(events[-1], Finished)
    assert len(attempts) == 3
    assert forgotten.logged_in


def test_poll_interval_grows_while_nothing_happens(played: PlayedBuilder, task: int) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            played.log(task, "container-build.log", "something\n")
        if len(pauses) == 20:
            played.fail(task, "why")

    frozen = follow(played.packager, task, interval=PollInterval(1.0, 5.0, 30), sleep=sleep, clock=lambda: 0.0)
    assert isinstance(list(frozen)[-1], Finished)
    # the first answers bring the task and the name of its builder
    assert pauses[2:6] == [1.25, 1.5625, pytest.approx(1.95, abs=0.01), pytest.approx(2.44, abs=0.01)]
    assert pauses[9:11] == [5.0, 5.0]
    assert 1.0 in pauses[12:15]


def test_unresponsive_hub_ends_following(played: PlayedBuilder, task: int) -> None:
    moment = [0.0]

    def sleep(seconds: float) -> None:
        moment[0] += seconds

    following = follow(played.packager, task, interval=PollInterval(1.0, 5.0, 60), sleep=sleep, clock=lambda: moment[0])
    assert any(isinstance(event, Responded) for event in following), "the hub never responded"
    played.packager.baseurl = "https://127.0.0.1:1/kojihub"
    with pytest.raises(LostContactError, match=r"no response from the hub for 60 s .*connection refused") as caught:
        list(following)
    assert f"task {task} is still running" in caught.value.reason


def test_tree_of_fifty_tasks_needs_one_request_per_poll(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    children = [played.arch(task, f"arch{number}") for number in range(49)]
    for child in children:
        played.log(child, "build.log", "a line\n")
    ticks: list[float] = []

    def sleep(seconds: float) -> None:
        ticks.append(seconds)
        if len(ticks) == 6:
            played.fail(task, "why")

    before = hub.access_log.read_text().count("\n")
    lines = _lines(list(follow(played.packager, task, interval=QUICK, sleep=sleep)))
    calls = [line.split()[2] for line in hub.access_log.read_text().splitlines()[before:]]
    assert lines.count("a line") == 49
    assert calls.count("multiCall") == len(ticks) + 2  # the last one is for the reason
    assert set(calls) - {"logout"} == {"multiCall", "host.failTask"}


def test_restarted_hub(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    played.log(task, "container-build.log", "before\n")
    events: list[Event] = []

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if _lines(events) == ["before"] and hub.service.pid is not None:
            hub.service.stop()
        elif any(isinstance(event, ContactLost) for event in events) and hub.service.pid is None:
            hub.service.start()
            hub.service.wait_ready()
            played.log(task, "container-build.log", "before\nafter\n")
            played.fail(task, "why")

    for event in follow(played.packager, task, interval=QUICK, sleep=sleep):
        events.append(event)
    assert _lines(events) == ["before", "after"]
    kinds = [type(event) for event in events]
    assert kinds.index(ContactLost) < kinds.index(ContactRegained) < kinds.index(Finished)


def _scripted(build: ScriptedBuild) -> list[Event]:
    with answering(build.answer) as url:
        anonymous = koji.ClientSession(url, {"max_retries": 0, "anon_retry": False, "timeout": 120})
        return list(follow(anonymous, 1, interval=QUICK, sleep=lambda _: None))


def test_stale_log_size_repeats_no_lines() -> None:
    content = b"".join(b"%d\n" % number for number in range(1000))
    size = len(content)
    events = _scripted(ScriptedBuild([size, size, 10, size, size], content))
    assert _lines(events) == [str(number) for number in range(1000)]


def test_log_shorter_than_its_reported_size_ends() -> None:
    build = ScriptedBuild([100, 100], b"x" * 89 + b"\n")
    assert _lines(_scripted(build)) == ["x" * 89]
    assert build.downloads < 12


@pytest.mark.parametrize("refused", ["downloadTaskOutput", "listTaskOutput"])
def test_unreadable_log_ends(refused: str) -> None:
    build = ScriptedBuild([100, 100], b"x" * 99 + b"\n", refused=refused)
    (*_, finished) = _scripted(build)
    assert isinstance(finished, Finished)
    assert MAX_REFUSALS <= build.refusals < 2 * MAX_REFUSALS


def test_malformed_result() -> None:
    result = {"repositories": None, "koji_builds": ["x", 7, None], "user_warnings": "old", "arches": []}
    (*_, finished) = _scripted(ScriptedBuild([0, 0], b"", result))
    assert isinstance(finished, Finished)
    assert finished.builds == []
    assert finished.result == BuildResult(builds=(7,), warnings=("old",))


def test_log_bytes_per_request_are_bounded(played: PlayedBuilder, task: int) -> None:
    content = "x" * 1023 + "\n"
    for number in range(20):
        child = played.arch(task, f"arch{number}")
        played.log(child, "build.log", content * 2048)
        played.fail(child, "why")
    played.fail(task, "why")
    counting = _Counting(played.packager)
    lines = _lines(_events(counting, task, interval=QUICK))
    assert len(lines) == 20 * 2048
    assert 0 < counting.most <= 8 * 1024 * 1024


@pytest.mark.parametrize("answer", [b"<html>log in to this network</html>", b""])
def test_response_of_another_server_is_retried(played: PlayedBuilder, task: int, answer: bytes) -> None:
    with answering(lambda _: answer) as url:
        played.packager.baseurl = url
        following = follow(played.packager, task, interval=PollInterval(0.05, 0.1, 0.3))
        with pytest.raises(LostContactError, match="the server is not a Koji hub"):
            list(following)


class _Counting:
    """A session that records the maximum number of log bytes per request."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def multicall(self, **options: Any) -> Any:
        multicall = self._session.multicall(**options)
        download = multicall.downloadTaskOutput
        asked = []

        def noted(task_id: int, name: str, offset: int, size: int) -> Any:
            asked.append(size)
            self.most = max(self.most, sum(asked))
            return download(task_id, name, offset, size)

        multicall.downloadTaskOutput = noted
        return multicall
