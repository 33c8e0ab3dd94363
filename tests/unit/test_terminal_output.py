# SPDX-License-Identifier: GPL-2.0-or-later
"""Colors, links, times, title and bell of a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fedpkg_container.commands import terminal
from fedpkg_container.hub.events import LogLines, Submitted, TaskState
from fedpkg_container.progress.formatting import link, uses_color
from fedpkg_container.progress.live import LiveRenderer
from fedpkg_container.progress.plain import PlainRenderer

URL = "https://koji.example.org/koji/taskinfo?taskID=7"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize(
    ("variables", "on_terminal", "in_file"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, True, True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colors(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], on_terminal: bool, in_file: bool) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (uses_color(_Terminal()), uses_color(io.StringIO())) == (on_terminal, in_file)


def test_links() -> None:
    assert link("task 7", URL, _Terminal()) == f"\x1b]8;;{URL}\x1b\\task 7\x1b]8;;\x1b\\"
    assert link("task 7", URL, io.StringIO()) == "task 7"


@pytest.mark.parametrize(
    "url",
    ["", "javascript:x", "file:///etc/passwd", "https://u:p@h/x", "https://h/a b", "https://h/\x07", "https://h/\x1b\\",
     "ssh://h/x", "https:///x", "https://h/ä"],
)  # fmt: skip
def test_other_addresses_are_no_links(url: str) -> None:
    assert link("text", url, _Terminal()) == "text"


def test_urls_in_lines_are_links_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    terminal.print_lines(f"Task info: {URL}", f"log: {URL}1 \x1b]8;;http://evil\x1b\\", links=[URL, "", f"{URL}1", URL])
    linked = [f"\x1b]8;;{url}\x1b\\{url}\x1b]8;;\x1b\\" for url in (URL, f"{URL}1")]
    assert stream.getvalue().replace("\N{REPLACEMENT CHARACTER}", "?") == (
        f"Task info: {linked[0]}\nlog: {linked[1]} ?]8;;http://evil?\\\n"
    )


def test_the_live_view_links_its_task() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=120, height=12, force_terminal=True, legacy_windows=False)
    with LiveRenderer(stream, console=console) as view:
        view(Submitted(7, URL, title="hello"))
        view._live.refresh()
    assert re.search(rf"\x1b\]8;[^;]*;{re.escape(URL)}\x1b\\", stream.getvalue())


def test_lines_have_times_on_request() -> None:
    stream = io.StringIO()
    task = TaskState(8, 7, "createContainer", "x86_64", "OPEN", "b")
    with PlainRenderer(stream, timestamps=True) as show:
        show(LogLines(task, "x86_64.log", ("one", "two")))
    assert re.fullmatch(r"\d\d:\d\d:\d\d one\n\d\d:\d\d:\d\d two\n", stream.getvalue())


@pytest.mark.parametrize(
    ("signals", "written"),
    [((), ""), (("bell",), "\a"), (("title",), "\x1b]2;a: done\x07"), (("bell", "title"), "\x1b]2;a: done\x07\a")],
)
def test_the_end_is_signaled(monkeypatch: pytest.MonkeyPatch, signals: tuple[str, ...], written: str) -> None:
    stream = _Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    terminal.signal_end("a: done", signals)
    assert stream.getvalue() == written


def test_a_title_cannot_end_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    terminal.signal_end("a\x07\x1b]2;b\x9c", ["title"])
    assert stream.getvalue().count("\x07") == 1
    assert stream.getvalue().count("\x1b") == 1


def test_only_terminals_are_signaled(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    terminal.signal_end("a", ["bell", "title"])
    assert stream.getvalue() == ""
