# SPDX-License-Identifier: GPL-2.0-or-later
"""The live view: the position of the cursor, and the tree of tasks."""

from __future__ import annotations

import io

from rich.console import Console

from fedpkg_container.hub.events import LogLines, TaskChanged, TaskState
from fedpkg_container.progress.live import LiveRenderer


def test_cursor_is_in_an_empty_line_below_a_full_one() -> None:
    """Where the terminal echoes ^C, so that the echo does not wrap."""
    stream = io.StringIO()
    console = Console(file=stream, width=40, height=12, force_terminal=True, color_system=None, legacy_windows=False)
    task = TaskState(7, None, "buildContainer", "", "OPEN", "")
    with LiveRenderer(stream, console=console) as view:
        view(TaskChanged(task))
        view(LogLines(task, "x86_64", ("x" * 100,)))
        view._live.refresh()
        drawn = stream.getvalue()
    assert drawn.endswith("x…\n")


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
