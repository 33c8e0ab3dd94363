# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-status`` for tasks: names of logs, builds to compare with, and the estimate of a build."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.builds import find_build, title_and_average
from fedpkg_container.hub.events import LogLines, TaskChanged, TaskState
from fedpkg_container.hub.follow import follow
from fedpkg_container.hub.session import anonymous_session
from fedpkg_container.model.polling import PollInterval
from fedpkg_container.progress.json_lines import JsonRenderer
from fedpkg_container.progress.plain import LogRenderer
from tests.support.checkout import LocalCheckout
from tests.support.fake_hub import TASK, fake_hub, task_info

SOURCE = "git+https://src.example.org/container/other.git?#0123"
_CHILD = task_info("CLOSED", id=TASK + 1, parent=TASK, method="createContainer", label="x86_64", arch="x86_64")
#: A finished build with two logs.
FINISHED: dict[str, Any] = {
    "getTaskInfo": lambda task, **_: task_info("CLOSED", id=task, request=[SOURCE, "t", {}]),
    "getTaskDescendents": {str(TASK): [_CHILD], str(TASK + 1): []},
    "listTaskOutput": lambda task, **_: {"build.log" if task == TASK else "x86_64.log": {"st_size": "4"}},
    "downloadTaskOutput": lambda task, *_, **__: base64.b64encode(b"one\n" if task == TASK else b"two\n").decode(),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a Koji profile of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_estimate_is_that_of_the_package_that_the_task_builds(home: Path) -> None:
    averages = {"other-container": 90.0, "label-container": 30.0, "hello-container": 10.0}
    with fake_hub(home, answers={**FINISHED, "getAverageBuildDuration": averages.get}):
        session = anonymous_session("koji")
        assert title_and_average(session, TASK, {"container/hello": "hello-container"}) == ("container/other", 90.0)
        assert title_and_average(session, TASK, {"container/other": "label-container"}) == ("container/other", 30.0)


def test_build_to_compare_with(home: Path) -> None:
    build = {"id": 12, "nvr": "hello-1-1"}
    answers = {
        "getBuild": lambda which: build if which in (12, "hello-1-1") else None,
        "getTaskInfo": lambda task: task_info("CLOSED", id=task) if task in (7, 8) else None,
        "listBuilds": lambda taskID: [build] if taskID == 7 else [],
    }
    with fake_hub(home, answers=answers):
        session = anonymous_session("koji")
        for word in ("12", "hello-1-1", "7"):
            assert find_build(session, word)["nvr"] == "hello-1-1"
        for word in ("8", "99", "unknown-1-1"):
            with pytest.raises(RefusedError):
                find_build(session, word)


def test_finished_task_is_not_replayed_as_running(home: Path) -> None:
    with fake_hub(home, answers=FINISHED):
        events = list(follow(anonymous_session("koji"), TASK, interval=PollInterval(0.01, 0.01)))
    states = {event.task.state for event in events if isinstance(event, TaskChanged)}
    assert states == {"CLOSED"}
    assert sorted(line for event in events if isinstance(event, LogLines) for line in event.lines) == ["one", "two"]


@pytest.mark.programs
@pytest.mark.parametrize("watch", [(), ("--watch",)])
def test_logs_of_the_task_itself(tmp_path: Path, watch: tuple[str, ...]) -> None:
    """``build`` is the prefix of its lines."""
    checkout = LocalCheckout.make(tmp_path)
    with fake_hub(checkout.home, answers=FINISHED):
        everything = checkout.run("container-status", str(TASK), "--logs", *watch)
        lines = sorted(line.strip() for line in everything.stdout.splitlines())
        assert lines == ["build | one", "x86_64 | two"] or watch, everything
        assert checkout.run("container-status", str(TASK), *watch, "--logs", "build").stdout == "one\n"
        assert checkout.run("container-status", str(TASK), *watch, "--logs", "x86_64").stdout == "two\n"
        if not watch:
            refused = checkout.run("container-status", str(TASK), "--logs", "arm")
            assert "available: build, x86_64" in refused.stderr


def test_unknown_nvr_is_null() -> None:
    from fedpkg_container.hub.events import Submitted

    stream = io.StringIO()
    JsonRenderer(stream)(Submitted(7))
    assert json.loads(stream.getvalue())["nvr"] is None


def test_log_renderer_selects_the_root_task() -> None:
    stream = io.StringIO()
    renderer = LogRenderer(stream, "build")
    root = TaskState(7, None, "buildContainer", "", "OPEN", "")
    renderer(LogLines(root, "a.log", ("mine",)))
    renderer(LogLines(TaskState(8, 7, "createContainer", "x86_64", "OPEN", ""), "b.log", ("other",)))
    assert stream.getvalue() == "mine\n"
