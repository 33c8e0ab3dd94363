# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree of tasks in the live view, of one build or of several."""

from __future__ import annotations

import io

from rich.console import Console

from fedpkg_container.hub.events import ContactLost, ContactRegained, Event, TaskChanged, TaskState
from fedpkg_container.progress.live import LiveRenderer


def _shown(*events: TaskState | Event, width: int = 80, ended: bool = False) -> list[str]:
    """Return the view, or what remains of it at the end."""
    stream = io.TextIOWrapper(buffer := io.BytesIO(), "utf-8")
    console = Console(file=stream, width=width, height=24, force_terminal=True, color_system=None, legacy_windows=False)
    view = LiveRenderer(stream, console=console)
    for event in events:
        view(TaskChanged(event) if isinstance(event, TaskState) else event)
    if ended:
        view.__exit__(None, None, None)
    else:
        console.print(view.view())
    stream.flush()
    return [line.rstrip() for line in buffer.getvalue().decode().splitlines()]


def test_tasks_are_in_aligned_columns_below_their_builds() -> None:
    """Running tasks come first."""
    lines = _shown(
        TaskState(7, None, "buildContainer", "web", "CLOSED", "", started=1.0, completed=61.0),
        TaskState(8, None, "buildContainer", "db f43", "OPEN", "builder-1"),
        TaskState(9, 7, "createContainer", "x86_64", "FAILED", ""),
        TaskState(10, 8, "createContainer", "x86_64", "CLOSED", ""),
        TaskState(11, 8, "createContainer", "s390x", "FREE", ""),
    )
    assert lines == [
        "2 container builds",
        "1 ended, 1 not ended",
        "● db f43   running on builder-1 (open)  task 8",
        "  ○ s390x  waiting for a builder (free)  task 11",
        "  ✔ x86_64 completed (closed)  task 10",
        "✔ web      completed (closed)  1:00  task 7",
        "  ✘ x86_64 failed  task 9",
    ]


def test_tasks_remain_in_lines_that_fit_the_terminal() -> None:
    build = TaskState(7, None, "buildContainer", "", "CLOSED", "builder-1", started=1.0, completed=61.0)
    arch = TaskState(8, 7, "createContainer", "x86_64", "CLOSED", "builder-1", started=1.0, completed=61.0)
    wide = ["✔ buildContainer completed on builder-1 (closed)  1:00  task 7",
            "  ✔ x86_64       completed on builder-1 (closed)  1:00  task 8"]  # fmt: skip
    assert _shown(build, arch, ended=True)[-2:] == wide
    narrow = ["✔ buildContainer completed  1:00  task 7", "  ✔ x86_64 completed  1:00  task 8"]
    assert _shown(build, arch, width=40, ended=True)[-2:] == narrow


def test_contact_that_was_lost_is_in_the_past_at_the_end() -> None:
    build = TaskState(7, None, "buildContainer", "", "CLOSED", "")
    lines = _shown(ContactLost(21.0, "", 60.0), ContactRegained(22.0), build, ended=True)
    assert lines[-1] == "the hub did not respond for 22 s"
