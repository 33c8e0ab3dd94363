# SPDX-License-Identifier: GPL-2.0-or-later
"""Signs, words and colors of states, and aligned columns that fit the terminal."""

from __future__ import annotations

import io

import koji
import pytest

from fedpkg_container.hub.events import TaskState
from fedpkg_container.progress.look import ASCII_SIGNS, LOOKS, RICH_STYLES, Cell, Page, Row, state_cell, task_text


class Terminal(io.TextIOWrapper):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return True


def _page(*, encoding: str = "utf-8", terminal: bool = False, width: int | None = None) -> Page:
    kind = Terminal if terminal else io.TextIOWrapper
    return Page(kind(io.BytesIO(), encoding), width=width)


ROWS = [
    Row((Cell("hello-1-10", "strong"), state_cell("COMPLETE"), Cell("by me")), state="COMPLETE", indent=2),
    Row((Cell("x"), state_cell("FAILED"), Cell("by another user")), state="FAILED", indent=2),
    Row((Cell("a long reason that is not in a column"),), indent=6),
]


def test_every_state_has_a_look() -> None:
    assert set(koji.TASK_STATES) | set(koji.BUILD_STATES) == set(LOOKS)
    assert {look.style for look in LOOKS.values()} == set(RICH_STYLES)
    assert {look.sign for look in LOOKS.values()} == set(ASCII_SIGNS)


def test_failure_never_looks_like_success() -> None:
    good = {(look.sign, look.style) for state, look in LOOKS.items() if state in ("CLOSED", "COMPLETE")}
    assert len(good) == 1
    others = [look for state, look in LOOKS.items() if state not in ("CLOSED", "COMPLETE")]
    assert not {look.sign for look in others} & {sign for sign, _ in good}
    assert not {look.style for look in others} & {style for _, style in good}


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("FREE", "waiting for a builder (free)"),
        ("ASSIGNED", "assigned on builder-1"),
        ("OPEN", "running on builder-1 (open)"),
        ("CLOSED", "completed on builder-1 (closed)"),
        ("FAILED", "failed on builder-1"),
    ],
)
def test_koji_words_of_states(state: str, text: str) -> None:
    assert task_text(TaskState(7, None, "m", "", state, "" if state == "FREE" else "builder-1")) == text


def test_columns_are_aligned() -> None:
    assert _page().table(ROWS) == [
        "  ✔ hello-1-10  complete  by me",
        "  ✘ x           failed    by another user",
        "      a long reason that is not in a column",
    ]


def test_lines_fit_a_narrow_terminal() -> None:
    lines = _page(width=26).table(ROWS[:2])
    assert lines == ["  ✔ hello-1-10  complete", "      by me", "  ✘ x  failed", "      by another user"]
    assert _page(width=20).table([Row((Cell("one"), Cell(""), Cell("two")))]) == ["one    two"]


def test_cells_that_are_too_long_are_wrapped_at_spaces() -> None:
    row = Row((Cell("hello"), Cell("in rawhide-container, stable"), Cell("by me")), indent=2)
    assert _page(width=27).lines([row]) == ["  hello", "      in rawhide-container,", "      stable  by me"]
    assert _page(width=20).lines([Row((Cell("x"), Cell("y" * 40)))]) == ["x", f"    {'y' * 40}"]


def test_signs_without_unicode() -> None:
    assert [line[2] for line in _page(encoding="ascii").table(ROWS[:2])] == ["+", "x"]


def test_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    line = _page(terminal=True, width=80).table(ROWS)[1]
    assert line == "  \x1b[1;31m✘\x1b[0m x           \x1b[1;31mfailed\x1b[0m    by another user"
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(_page(terminal=True, width=80).table(ROWS))


def test_text_cannot_control_the_terminal() -> None:
    assert _page().lines([Row((Cell("a\x1b[2J\u202e\nb", "bad"),))]) == ["a\ufffd[2J\ufffd b"]


def test_long_last_cell_is_wrapped_below_itself() -> None:
    rows = [
        Row((Cell("name"), Cell("one two three four five")), indent=2),
        Row((Cell("a reason of six words in all"),), indent=4),
    ]
    assert _page(width=26).table(rows) == [
        "  name  one two three four",
        "        five",
        "    a reason of six words",
        "    in all",
    ]


def test_tables_with_the_same_columns() -> None:
    assert _page().tables([ROWS[:1], ROWS[1:2]])[1] == ["  ✘ x           failed    by another user"]
