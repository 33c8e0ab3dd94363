# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured, as one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement of both.

    :param theirs: what the other program needs; None when it has no such thing, or was not measured
    :param ours: what ours needs
    :param against: the other program
    :param more_is_better: a throughput, not a cost
    """

    what: str
    theirs: float | None
    ours: float
    unit: str
    note: str = ""
    against: str = "rpkg"
    more_is_better: bool = False

    @property
    def ratio(self) -> str:
        """How often ours goes into the other: above 1 ours is better."""
        if self.theirs is None or not self.theirs or not self.ours:
            return "-"
        ratio = self.ours / self.theirs if self.more_is_better else self.theirs / self.ours
        return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


HEAD = ("", "rpkg 1.70", "ours", "unit", "ratio", "")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def table(rows: Iterable[Row]) -> str:
    """The table, with its notes below; the ratio is above 1 where ours is better, whatever the unit."""
    cells, notes = [HEAD], list[str]()
    for row in rows:
        if row.note and row.note not in notes:
            notes.append(row.note)
        mark = f"[{notes.index(row.note) + 1}]" if row.note else ""
        theirs = _number(row.theirs) + ("" if row.against == "rpkg" or row.theirs is None else f" ({row.against})")
        cells.append((row.what, theirs, _number(row.ours), row.unit, row.ratio, mark))
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]

    def aligned(line: tuple[str, ...]) -> str:
        numbers = (each.rjust(width) for each, width in zip(line[1:3], widths[1:3]))
        parts = (line[0].ljust(widths[0]), *numbers, line[3].ljust(widths[3]), line[4].rjust(widths[4]), line[5])
        return "  ".join(parts).rstrip()

    rule = "  ".join("-" * width for width in widths[:5])
    numbered = [f"[{number}] {note}" for number, note in enumerate(notes, 1)]
    return "\n".join([aligned(cells[0]), rule, *(aligned(line) for line in cells[1:]), "", *numbered])
