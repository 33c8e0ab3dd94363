# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark's table: its ratios show which is better, in any unit."""

from __future__ import annotations

from benchmarks.table import Row, table


def test_a_ratio_above_one_is_ours() -> None:
    assert Row("time", 3.0, 1.5, "s").ratio == "2.0"
    assert Row("throughput", 2.0, 50.0, "MB/s", more_is_better=True).ratio == "25"


def test_a_ratio_below_one_is_theirs() -> None:
    assert Row("requests", 2, 12, "requests/min").ratio == "0.17"


def test_nothing_is_compared_with_what_was_not_measured() -> None:
    assert Row("time", None, 1.0, "s").ratio == "-"


def test_a_note_is_below_once() -> None:
    text = table([Row("one", 1, 2, "s", "why"), Row("two", None, 2, "s"), Row("three", 1, 2, "s", "why")])
    assert text.count("[1] why") == 1
    assert [line.endswith("[1]") for line in text.splitlines()[2:5]] == [True, False, True]
