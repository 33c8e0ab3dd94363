# SPDX-License-Identifier: GPL-2.0-or-later
"""Estimates of build durations are only shown if meaningful."""

from __future__ import annotations

import io
import math
import time
from typing import Any

import pytest
from rich.console import Console

from fedpkg_container.commands.status_lists import running_rows
from fedpkg_container.hub.builds import valid_average
from fedpkg_container.hub.events import Submitted, TaskChanged, TaskState
from fedpkg_container.hub.requested_builds import RequestedBuild
from fedpkg_container.progress.live import LiveRenderer


def _task(started: float | None) -> TaskState:
    state = "FREE" if started is None else "OPEN"
    return TaskState(7, None, "buildContainer", "", state, "", False, created=time.time(), started=started)


def _live(average: float | None, started: float | None) -> str:
    """The head of the live view: its second line, and its progress bar if there is one."""
    stream = io.StringIO()
    view = LiveRenderer(stream, console=Console(file=stream, width=80, height=24, force_terminal=False))
    view(Submitted(7, average=average))
    view(TaskChanged(_task(started)))
    view.console.print(view.view())
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()[1:-1])


@pytest.mark.parametrize("average", [None, 0, 0.0, 0.4, -3.0, math.nan, math.inf, "15", [15]])
def test_invalid_averages(average: Any) -> None:
    assert valid_average(average) is None


def test_valid_averages() -> None:
    assert (valid_average(1), valid_average(90.5)) == (1.0, 90.5)


def test_build_within_its_average_duration() -> None:
    shown = _live(100.0, time.time() - 50)
    assert shown.startswith("running 0:50 of about 1:40\n")
    assert shown.endswith(" 50%")


def test_longer_build_has_no_progress_bar() -> None:
    assert _live(15.0, time.time() - 38) == "running 0:38, above the average of 0:15"


def test_progress_bar_is_never_full() -> None:
    assert _live(1000.0, time.time() - 999).endswith(" 99%")


def test_a_build_that_waits_for_a_builder() -> None:
    shown = _live(15.0, None)
    assert shown.startswith("waiting 0:00, average build time 0:15\n")
    assert shown.endswith(" 0%")


def test_local_clock_is_ahead() -> None:
    shown = _live(15.0, time.time() + 30)
    assert "-" not in shown.replace("─", "")
    assert shown.endswith(" 0%")


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (45.0, "45% of the average of 1 min 40 s"),
        (99.7, "99% of the average of 1 min 40 s"),
        (130.0, "above the average of 1 min 40 s"),
        (-30.0, "0% of the average of 1 min 40 s"),
    ],
)
def test_container_status(ago: float, said: str) -> None:
    running = RequestedBuild("git://x#abc", "t", "rawhide", False, "me", (_task(time.time() - ago),))
    row = next(iter(running_rows(running, 100.0)))
    assert row.cells[0].text == "build of rawhide (abc)"
    assert f"by me, {said}" in [cell.text for cell in row.cells]
