# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree of tasks in the live view, of one build or of several."""

from __future__ import annotations

import io

from rich.console import Console

from fedpkg_container.hub.events import TaskChanged, TaskState
from fedpkg_container.progress.live import LiveRenderer


def _shown(*tasks: TaskState) -> list[str]:
    stream = io.TextIOWrapper(buffer := io.BytesIO(), "utf-8")
    console = Console(file=stream, width=80, height=24, force_terminal=True, color_system=None, legacy_windows=False)
    view = LiveRenderer(stream, console=console)
    for task in tasks:
        view(TaskChanged(task))
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
