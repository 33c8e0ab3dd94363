# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-status --watch`` with several tasks: one display, all results, one exit status."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import koji
import pytest

from fedpkg_container.errors import CanceledError, FedpkgContainerError, LostContactError, RefusedError, UsageError
from fedpkg_container.hub import follow_several
from fedpkg_container.hub.events import Event
from fedpkg_container.hub.session import CONNECTION_ERRORS
from tests.support.status_client import Status
from tests.support.status_hub import StatusHub, task

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "progress.schema.json").read_text())


@dataclass
class ChangingHub(StatusHub):
    """A hub that changes with the number of requests.

    :param polls: requests after which the running tasks are completed
    """

    polls: int = 10**9
    interrupt: bool = False

    @contextmanager
    def multicall(self, **options: Any) -> Iterator[Any]:
        """Answer a request, after the change."""
        with super().multicall(**options) as calls:
            if len(self.requests) >= self.polls:
                self._change()
            yield calls

    def _change(self) -> None:
        if self.interrupt:
            self.polls, self.interrupt = 10**9, False
            os.kill(os.getpid(), signal.SIGINT)
            return
        for each in self.tasks:
            if each["state"] == koji.TASK_STATES["OPEN"]:
                each.update(state=koji.TASK_STATES["CLOSED"], completion_ts=each["start_ts"] + 50)


def _other(number: int, state: str) -> dict[str, Any]:
    """A task of another package."""
    request = ["git+https://src.example/container/db#b", "target", {"git_branch": "f43"}]
    return task(number, state, request=request)


@pytest.fixture
def hub() -> ChangingHub:
    done = {"repositories": ["r.io/web:1"], "koji_builds": []}
    return ChangingHub(
        [task(7, "CLOSED"), _other(9, "FAILED"), task(10, "FAILED", parent=9, label="x86_64", request=[{}])],
        results={7: done, 11: done, 12: done, 9: "no", 10: "RUN failed"},
        output={10: {"x86_64.log": b"compiling\n"}},
    )


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch, hub: ChangingHub) -> Status:
    status = Status(monkeypatch, hub)
    status.config["fedpkg.container-build"]["progress_interval"] = "0.1"
    return status


def test_results_of_all(status: Status, capsys: pytest.CaptureFixture[str]) -> None:
    text = status.run("--watch", "7", "9", "--progress", "plain")
    assert status.status == 1
    assert "task 7 buildContainer (container/web rawhide (scratch)): completed" in text
    assert "container/db f43 x86_64 | compiling\n" in text
    assert "✔ container/web rawhide (scratch)  completed (closed)  task 7\n  task 7 completed in 50 s\n" in text
    assert "      r.io/web:1\n" in text
    assert "✘ container/db f43  failed  task 9\n" in text
    assert "task 10 createContainer (x86_64) failed on builder-1: RUN failed\n" in capsys.readouterr().err


def test_quiet(status: Status) -> None:
    assert status.run("--watch", "7", "9", "-q") == "r.io/web:1\n"


def test_results_are_in_the_order_of_the_command(hub: ChangingHub, status: Status) -> None:
    hub.tasks[:] = [task(7, "OPEN"), task(11, "CLOSED")]
    hub.results[11] = {"repositories": ["r.io/web:2"], "koji_builds": []}
    hub.polls = 12
    assert status.run("--watch", "7", "11", "-q") == "r.io/web:1\nr.io/web:2\n"


def test_json_lines_match_their_schema(status: Status) -> None:
    lines = [json.loads(line) for line in status.run("--watch", "7", "9", "--progress", "json").splitlines()]
    for line in lines:
        jsonschema.validate(line, SCHEMA)
    events = [(line["event"], line["task_id"]) for line in lines if line["event"] in ("submitted", "finished")]
    assert {line["nvr"] for line in lines if line["event"] == "submitted"} == {None}
    assert sorted(events) == [("finished", 7), ("finished", 9), ("submitted", 7), ("submitted", 9)]
    assert {line["arch"] for line in lines if line["event"] == "log"} == {"x86_64"}


def test_own_running_builds(hub: ChangingHub, status: Status) -> None:
    hub.tasks += [task(11, "OPEN"), _other(12, "OPEN")]
    hub.polls = 8
    text = status.run("--watch", "--mine", "--progress", "plain")
    assert status.status == 0
    assert "✔ container/db f43  completed (closed)  task 12\n" in text
    assert "task 7" not in text
    assert status.run("--watch", "--mine") == "you have no running container builds\n"


def test_canceled_build(hub: ChangingHub, status: Status) -> None:
    hub.tasks.append(task(11, "CANCELED"))
    status.run("--watch", "7", "11", "-q")
    assert status.status == 6


def test_interrupt_detaches(hub: ChangingHub, status: Status, capsys: pytest.CaptureFixture[str]) -> None:
    hub.tasks.append(task(11, "OPEN"))
    hub.polls, hub.interrupt = 12, True
    status.run("--watch", "11", "9", "--progress", "plain")
    assert status.status == 130
    error = capsys.readouterr().err
    assert "interrupted; task 11 is still running\n" in error
    assert "fedpkg container-status --watch 11\n" in error
    assert "fedpkg container-status --cancel 11\n" in error


def test_interrupt_cancels(hub: ChangingHub, status: Status) -> None:
    hub.tasks.append(task(11, "OPEN"))
    hub.polls, hub.interrupt = 12, True
    with pytest.raises(CanceledError, match="task 11 was canceled"):
        status.run("--watch", "11", "9", "--cancel-on-interrupt", "--progress", "plain")
    assert next(each for each in hub.tasks if each["id"] == 11)["state"] == koji.TASK_STATES["CANCELED"]


def test_unknown_task(status: Status) -> None:
    with pytest.raises(RefusedError, match="the hub has no task 99"):
        status.run("--watch", "7", "99")


def test_lost_contact(hub: ChangingHub, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.tasks.append(task(11, "OPEN"))
    hub.polls = 12

    def fail() -> None:
        raise CONNECTION_ERRORS[0]("Connection refused")

    monkeypatch.setattr(hub, "_change", fail)
    with pytest.raises(LostContactError) as raised:
        status.run("--watch", "11", "9", "--hub-timeout", "0", "--progress", "plain")
    assert "fedpkg container-status --watch 11" in raised.value.solution


def test_thread_that_ends_unexpectedly_is_an_error(
    hub: ChangingHub, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit status must not be that of a success."""
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    follow = follow_several.follow  # type: ignore[attr-defined]  # it is imported there

    def fail_for_one(session: Any, task_id: int, **options: Any) -> Iterator[Event]:
        if task_id == 7:
            raise AttributeError("a bug")
        return follow(session, task_id, **options)

    monkeypatch.setattr(follow_several, "follow", fail_for_one)
    monkeypatch.setattr("fedpkg_container.commands.container_status._builds_to_watch", lambda *_: {7: "a", 9: "b"})
    with pytest.raises(FedpkgContainerError, match="no final state of task 7"):
        status.run("--watch", "7", "9", "-q")


def test_too_many_tasks(hub: ChangingHub, status: Status) -> None:
    hub.tasks = [task(number, "OPEN") for number in range(1, 52)]
    with pytest.raises(UsageError, match="at most 50 tasks"):
        status.run("--watch", *map(str, range(1, 52)))
