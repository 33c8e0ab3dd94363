# SPDX-License-Identifier: GPL-2.0-or-later
"""The position of the cursor in the live view."""

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
