# SPDX-License-Identifier: GPL-2.0-or-later
"""The live view: the cursor, typed keys, Ctrl-Z, a silent hub, and narrow terminals."""

from __future__ import annotations

import io
import os
import re
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from rich.console import Console

from fedpkg_container.hub.events import ContactLost, LogLines, Requesting, Responded, Submitted, TaskChanged, TaskState
from fedpkg_container.progress.live import LiveRenderer

#: Shows a task until a line is read from the controlling pipe.
_PROGRAM = """
import sys
from fedpkg_container.hub.events import TaskChanged, TaskState
from fedpkg_container.progress.live import LiveRenderer
with LiveRenderer(sys.stdout) as view:
    view(TaskChanged(TaskState(7, None, "buildContainer", "", "OPEN", "")))
    while open(sys.argv[1]).read() != "end":
        view(TaskChanged(TaskState(7, None, "buildContainer", "", "OPEN", "")))
        import time; time.sleep(0.05)
"""


def _console(stream: io.StringIO, width: int, height: int = 12) -> Console:
    return Console(
        file=stream, width=width, height=height, force_terminal=True, color_system=None, legacy_windows=False
    )


def _task(number: int = 7, state: str = "OPEN", **fields: Any) -> TaskState:
    return TaskState(number, None, "buildContainer", "", state, fields.pop("host", ""), **fields)


def _view(width: int, *events: Any, height: int = 12) -> list[str]:
    """Return the lines of the view after some events."""
    renderer = LiveRenderer(io.StringIO(), console=_console(io.StringIO(), width, height))
    for event in events:
        renderer(event)
    shown = io.StringIO()
    _console(shown, width, height).print(renderer.view())
    return shown.getvalue().splitlines()


def test_cursor_is_in_an_empty_line_below_a_full_one() -> None:
    """Where the terminal echoes ^C, so that the echo does not wrap."""
    stream = io.StringIO()
    console = _console(stream, 40)
    task = _task()
    with LiveRenderer(stream, console=console) as view:
        view(TaskChanged(task))
        view(LogLines(task, "x86_64", ("x" * 100,)))
        view._live.refresh()
        drawn = stream.getvalue()
    assert drawn.endswith("x…\n")


def test_silent_hub_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("fedpkg_container.progress.live.time.time", lambda: now)
    renderer = LiveRenderer(io.StringIO(), console=_console(io.StringIO(), 80))
    renderer(Requesting())
    now += 1
    assert renderer._contact() == ""
    now += 6
    assert renderer._contact() == "no response from the hub for 0:07"
    renderer(Responded())
    assert renderer._contact() == ""


def test_messages_are_wrapped_before_their_number() -> None:
    lost = ContactLost(7.0, "the request timed out", 600.0)
    warning = LogLines(_task(), "a.log", ("warning: the image was not tagged as expected, see 4711",))
    text = " ".join(line.strip() for line in _view(40, TaskChanged(_task()), warning, Requesting(), lost))
    assert "see 4711" in text
    assert "retrying for another 9:5" in text


def test_header_and_rows_fit_forty_columns() -> None:
    submitted = Submitted(
        123456789, "https://koji.example.org/koji/taskinfo?taskID=123456789", title="hello-web-1.0-15"
    )
    for state in ("OPEN", "CLOSED", "FAILED", "FREE", "ASSIGNED", "CANCELED"):
        task = _task(123456789, state, host="a-builder-with-a-long-name.example.org", started=time.time() - 100)
        lines = _view(40, submitted, TaskChanged(task))
        assert all(len(line) <= 40 for line in lines)
        assert not [line for line in lines if "…" in line], lines
        assert any("1:4" in line and "123456789" in line for line in lines), lines
        assert "task 123456789" in " ".join(lines)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (30, ["container/hello-world", "(scratch)", "task 123456"]),
        (40, ["container/hello-world (scratch)", "task 123456"]),
        (80, ["container/hello-world (scratch)  task 123456"]),
    ],
)
def test_task_is_not_separated_from_its_number(width: int, expected: list[str]) -> None:
    submitted = Submitted(123456, title="container/hello-world (scratch)")
    lines = _view(width, submitted, TaskChanged(_task(123456)))
    assert [line.rstrip() for line in lines[: len(expected)]] == expected


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Any]:
    """A shell with job control on a terminal, whose command ``view`` starts the view; a file decides when that ends."""
    (tmp_path / "control").touch()
    (tmp_path / "program.py").write_text(_PROGRAM)
    root = str(Path(__file__).parents[2])
    child = pexpect.spawn(
        "bash", ["--norc", "--noprofile", "-i"], env={**os.environ, "TERM": "xterm", "PYTHONPATH": root, "PS1": "$ "},
        cwd=str(tmp_path), timeout=60, dimensions=(24, 80), encoding="utf-8",
    )  # fmt: skip
    child.sendline(
        f"view() {{ {sys.executable} program.py control; echo ended with $?; }}; bind 'set enable-bracketed-paste off'"
    )
    yield child
    child.close(force=True)


def _echoes(child: Any) -> bool:
    return bool(termios.tcgetattr(child.child_fd)[3] & termios.ECHO)


@pytest.mark.programs
def test_typed_keys_are_not_echoed_or_executed(shell: Any, tmp_path: Path) -> None:
    shell.sendline("view")
    shell.expect("task 7")
    assert not _echoes(shell)
    shell.send("typed\r\r")
    shell.expect("task 7")
    (tmp_path / "control").write_text("end")
    shell.expect("ended with 0")
    assert "typed" not in (shell.before or "")
    shell.sendline("echo next $((1 + 1))")
    shell.expect("next 2\r")
    assert "typed" not in (shell.before or "")


@pytest.mark.programs
def test_ctrl_z_shows_the_cursor_and_the_echo(shell: Any, tmp_path: Path) -> None:
    shell.sendline(f"{sys.executable} program.py control")
    shell.expect("task 7")
    shell.send("\x1a")
    shell.expect("Stopped")
    drawn = shell.before or ""
    assert drawn.rfind("\x1b[?25h") > drawn.rfind("\x1b[?25l")
    shell.sendline("stty -a; echo stty ended")
    shell.expect("stty ended\r")
    assert re.search(r"\becho\b", shell.before or "")
    assert "-echo " not in (shell.before or "")
    shell.sendline("fg")
    shell.expect("task 7")
    assert "\x1b[?25l" in (shell.before or "")
    assert not _echoes(shell)
    (tmp_path / "control").write_text("end")
    shell.expect_exact("\x1b[?25h")
