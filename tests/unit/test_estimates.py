"""How long a build takes is said only where that means something."""

from __future__ import annotations

import io
import math
import time
from typing import Any

import pytest
from rich.console import Console

from fedpkg_container.commands.status_checkout import _running
from fedpkg_container.hub.builds import RequestedBuild, usual
from fedpkg_container.hub.events import Submitted, TaskChanged, TaskState
from fedpkg_container.progress.live import LiveRenderer


def _task(started: float | None) -> TaskState:
    state = "FREE" if started is None else "OPEN"
    return TaskState(7, None, "buildContainer", "", state, "", False, created=time.time(), started=started)


def _live(average: float | None, started: float | None) -> str:
    """The head of the live view: its second line, and its bar where there is one."""
    stream = io.StringIO()
    view = LiveRenderer(stream, console=Console(file=stream, width=80, height=24, force_terminal=False))
    view(Submitted(7, average=average))
    view(TaskChanged(_task(started)))
    view.console.print(view.view())
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()[1:-1])


@pytest.mark.parametrize("average", [None, 0, 0.0, 0.4, -3.0, math.nan, math.inf, "15", [15]])
def test_averages_that_say_nothing(average: Any) -> None:
    assert usual(average) is None


def test_averages_that_do() -> None:
    assert (usual(1), usual(90.5)) == (1.0, 90.5)


def test_a_build_within_its_usual_time() -> None:
    shown = _live(100.0, time.time() - 50)
    assert shown.startswith("running 0:50 of about 1:40\n")
    assert shown.endswith(" 50%")


def test_a_build_that_takes_longer_has_no_bar() -> None:
    assert _live(15.0, time.time() - 38) == "running 0:38, above the average of 0:15"


def test_a_bar_is_never_full() -> None:
    assert _live(1000.0, time.time() - 999).endswith(" 99%")


def test_a_build_that_waits_for_a_builder() -> None:
    shown = _live(15.0, None)
    assert shown.startswith("waiting 0:00, average build time 0:15\n")
    assert shown.endswith(" 0%")


def test_a_clock_that_is_ahead() -> None:
    shown = _live(15.0, time.time() + 30)
    assert "-" not in shown.replace("─", "")
    assert shown.endswith(" 0%")


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (45.0, "45% of the average 1 min 40 s"),
        (99.7, "99% of the average 1 min 40 s"),
        (130.0, "above the average 1 min 40 s"),
        (-30.0, "0% of the average 1 min 40 s"),
    ],
)
def test_container_status(ago: float, said: str) -> None:
    running = RequestedBuild("git://x#abc", "t", "rawhide", False, "me", (_task(time.time() - ago),))
    assert next(iter(_running(running, 100.0))) == f"running: build of rawhide (abc), by me, {said}"
