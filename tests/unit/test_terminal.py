# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables in terminals of various widths."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from fedpkg_container.commands.terminal import format_table

ROWS = [("package", "foo-container", "Dockerfile:4"), ("target", "rawhide-container-candidate", ""), ("x", "1", "y")]
WIDE = [
    "package  foo-container                Dockerfile:4",
    "target   rawhide-container-candidate",
    "x        1                            y",
]


def _terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((columns, 24)))


def test_rows_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert format_table(ROWS) == WIDE
    _terminal(monkeypatch, 50)
    assert format_table(ROWS) == WIDE
    assert format_table([("a", "1 d", "b"), ("c", "10 d", "d")], right=(1,)) == ["a   1 d  b", "c  10 d  d"]
    assert format_table([]) == []


def test_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    _terminal(monkeypatch, 40)
    lines = format_table(ROWS)
    assert lines[:4] == ["package", "    foo-container", "    Dockerfile:4", "target"]
    assert all(len(line) <= 40 for line in lines)


def test_long_cell_pushes_the_rest_of_its_row() -> None:
    first, second = format_table([("a", "v" * 80, "origin"), ("b", "w", "origin")])
    assert first == f"a  {'v' * 80}  origin"
    assert second.index("origin") < 70
