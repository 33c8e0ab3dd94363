# SPDX-License-Identifier: GPL-2.0-or-later
"""How tasks and builds are displayed: a sign, a word and a color for each state, and aligned columns of text.

A view names first what it shows, then the state, then details.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from fedpkg_container.hub.events import TaskState
from fedpkg_container.progress.formatting import Style
from fedpkg_container.text import printable_line


@dataclass(frozen=True)
class Look:
    """How a state is displayed.

    :param sign: one character; ``ASCII_SIGNS`` has the replacement for encodings without it
    :param word: the state in words
    :param style: name of the style of sign and word, a key of ``RICH_STYLES``
    """

    sign: str
    word: str
    style: str


_WAITING, _RUNNING, _DONE, _FAILED = "○", "●", "✔", "✘"
#: Signs for terminals without Unicode.
ASCII_SIGNS = {_WAITING: "o", _RUNNING: "*", _DONE: "+", _FAILED: "x"}
#: Style → style of rich, for the live view.
RICH_STYLES = {"waiting": "dim", "running": "cyan", "good": "green", "warning": "yellow", "bad": "bold red"}
#: Style → parameters of the terminal sequence SGR.
_SGR = {"waiting": "2", "running": "36", "good": "32", "warning": "33", "bad": "1;31", "strong": "1", "dim": "2"}

#: Koji's state of a task or a build → how it is displayed.
LOOKS = {
    "FREE": Look(_WAITING, "waiting for a builder", "waiting"),
    "ASSIGNED": Look(_WAITING, "assigned", "waiting"),
    "OPEN": Look(_RUNNING, "running", "running"),
    "CLOSED": Look(_DONE, "completed", "good"),
    "CANCELED": Look(_FAILED, "canceled", "warning"),
    "FAILED": Look(_FAILED, "failed", "bad"),
    "BUILDING": Look(_RUNNING, "running", "running"),
    "COMPLETE": Look(_DONE, "complete", "good"),
    "DELETED": Look(_FAILED, "deleted", "warning"),
}


def has_unicode(stream: TextIO) -> bool:
    """Return whether the encoding of a stream has the signs."""
    return (getattr(stream, "encoding", None) or "ascii").lower().startswith("utf")


def state_sign(state: str, stream: TextIO) -> str:
    """Return the sign of a state."""
    sign = LOOKS[state].sign
    return sign if has_unicode(stream) else ASCII_SIGNS[sign]


def state_text(state: str) -> str:
    """Return a state in words, with Koji's own word in parentheses if it differs: ``running (open)``."""
    return f"{LOOKS[state].word}{_koji_word(state)}"


def task_text(task: TaskState, *, koji: bool = True) -> str:
    """Return the state of a task with its builder: ``running on builder-1 (open)``.

    :param koji: whether to add Koji's own word
    """
    on = f" on {task.host}" if task.host else ""
    return f"{LOOKS[task.state].word}{on}{_koji_word(task.state) if koji else ''}"


def _koji_word(state: str) -> str:
    return "" if state.lower() == LOOKS[state].word else f" ({state.lower()})"


@dataclass(frozen=True)
class Cell:
    """A piece of a line; its text is made printable.

    :param style: a key of ``RICH_STYLES``, ``strong``, ``dim``, or empty
    """

    text: str
    style: str = ""


def state_cell(state: str, text: str = "") -> Cell:
    """Return a state.

    :param text: the state in words, with details; by default those of ``state_text``
    """
    return Cell(text or state_text(state), LOOKS[state].style)


@dataclass(frozen=True)
class Row:
    """A line of a page.

    :param state: the state whose sign precedes the cells; empty for none
    :param indent: indentation in characters
    """

    cells: tuple[Cell, ...]
    state: str = ""
    indent: int = 0


#: Characters between two columns, and additional indentation of a line that continues another one.
GAP, CONTINUATION = 2, 4


class Page:
    """Formats rows for a stream: colors if it is a terminal, and lines that fit its width.

    :param width: of the terminal in characters; by default that of the stream, or None if it is not a terminal
    """

    def __init__(self, stream: TextIO, *, width: int | None = None) -> None:
        self._style = Style(stream)
        self._stream = stream
        self.width = width or (shutil.get_terminal_size().columns if stream.isatty() else None)

    def table(self, rows: Iterable[Row]) -> list[str]:
        """Return lines with aligned columns; if the terminal is too narrow for them, lines that are wrapped instead."""
        return self.tables([rows])[0]

    def tables(self, groups: Iterable[Iterable[Row]]) -> list[list[str]]:
        """Return the lines of several tables with the same columns."""
        all_groups = [list(rows) for rows in groups]
        parts = [self._parts(row) for rows in all_groups for row in rows]
        columns = max((len(row) for row in parts), default=0)
        widths = [
            max((row[number][0] for row in parts if number < len(row) - 1), default=0) for number in range(columns)
        ]
        starts = [sum(width + GAP for width in widths[: len(row) - 1]) for row in parts]
        if self.width is not None and any(self._overflows(row, start) for row, start in zip(parts, starts)):
            return [self.lines(rows) for rows in all_groups]
        return [[line for row in rows for line in self._aligned(row, widths)] for rows in all_groups]

    def lines(self, rows: Iterable[Row]) -> list[str]:
        """Return lines without aligned columns."""
        return [line for row in rows for line in self._wrapped(row)]

    def _overflows(self, parts: Sequence[tuple[int, str]], start: int) -> bool:
        """Return whether a row does not fit the terminal with aligned columns, even if its last cell is wrapped.

        :param start: column of the last cell
        """
        width = self.width or 0
        return start + parts[-1][0] > width and start > width // 3

    def _aligned(self, row: Row, widths: Sequence[int]) -> list[str]:
        """Return a row with aligned columns; the last cell is wrapped if it is too long."""
        *first, _ = self._parts(row)
        prefix = "".join(text + " " * (widths[number] - length + GAP) for number, (length, text) in enumerate(first))
        start = sum(width + GAP for width in widths[: len(first)])
        return [line.rstrip() for line in self._last(row, prefix, start)]

    def _wrapped(self, row: Row) -> list[str]:
        """Return the lines of a row without columns; a cell that does not fit starts the next line, and is wrapped."""
        parts = self._parts(row)
        if len(parts) == 1:
            return self._last(row, "", 0)
        (length, line, _), *rest = [(*part, cell) for part, cell in zip(parts, row.cells) if part[0]]
        lines = [line]
        for size, text, cell in rest:
            if self.width is not None and length + GAP + size > self.width:
                indent = row.indent + CONTINUATION
                pieces = self._pieces(printable_line(cell.text), self.width - indent)
                lines += [" " * indent + self._styled(cell.style, piece) for piece in pieces]
                length = indent + len(pieces[-1])
            else:
                lines[-1] += " " * GAP + text
                length += GAP + size
        return lines

    def _last(self, row: Row, prefix: str, start: int) -> list[str]:
        """Return a line with the last cell of a row, and the lines into which the cell is wrapped at spaces.

        :param prefix: the line before the cell
        :param start: column of the cell
        """
        cell, (length, text) = row.cells[-1], self._parts(row)[-1]
        is_first = len(row.cells) == 1
        if self.width is None or start + length <= self.width:
            return [prefix + text]
        column = row.indent + (2 if row.state else 0) if is_first else start
        plain = printable_line(cell.text)
        head = text[: -len(self._styled(cell.style, plain))] if is_first else prefix
        return [
            (head if number == 0 else " " * column) + self._styled(cell.style, piece)
            for number, piece in enumerate(self._pieces(plain, self.width - column))
        ]

    @staticmethod
    def _pieces(text: str, width: int) -> list[str]:
        """Wrap text at spaces; words that are too long, e.g. pull specs, stay whole."""
        width = max(width, CONTINUATION)
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]

    def _parts(self, row: Row) -> list[tuple[int, str]]:
        """Return length and text of each cell; the first includes the indentation and the sign."""
        texts = [printable_line(cell.text) for cell in row.cells]
        parts = [(len(text), self._styled(cell.style, text)) for cell, text in zip(row.cells, texts)]
        prefix, length = " " * row.indent, row.indent
        if row.state:
            look = LOOKS[row.state]
            prefix += self._styled(look.style, state_sign(row.state, self._stream)) + " "
            length += 2
        return [(parts[0][0] + length, prefix + parts[0][1]), *parts[1:]]

    def _styled(self, style: str, text: str) -> str:
        code = _SGR.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if code and self._style.enabled else text
