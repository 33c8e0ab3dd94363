# SPDX-License-Identifier: GPL-2.0-or-later
"""From records to lines: no loss, no duplicates, in order."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedpkg_container.cluster.logs import LogAssembler, read_log
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.pod import RECORD_SIZE, Record, TerminationMessage, records
from fedpkg_container.text import printable


def _assembler(tmp_path: Path) -> tuple[LogAssembler, list[bytes]]:
    lines: list[bytes] = []
    return LogAssembler(lines.append, tmp_path / "held"), lines


def _records(lines: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for line in lines:
        found += [bytes(record) for record in records(line, len(found) + 1)]
    return found


def test_repeated_records_are_dropped(tmp_path: Path) -> None:
    assembler, lines = _assembler(tmp_path)
    for record in (b"1 a", b"2 b", b"2 b", b"1 a", b"3 c"):
        assembler.feed(record)
    assert lines == [b"a", b"b", b"c"]


def test_records_after_a_gap_wait_for_the_complete_log(tmp_path: Path) -> None:
    assembler, lines = _assembler(tmp_path)
    for record in (b"1 a", b"4 d", b"5 e"):
        assembler.feed(record)
    assert lines == [b"a"]
    assert assembler.held_from == 4
    assembler.complete([b"1 a", b"2 b", b"3 c", b"4 d", b"5 e", b"6 f"])
    assert lines == [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert not (tmp_path / "held").exists()


def test_lost_records_are_counted(tmp_path: Path) -> None:
    assembler, lines = _assembler(tmp_path)
    for record in (b"1 a", b"4 d", b"4 d", b"5 e"):
        assembler.feed(record)
    assembler.give_up(7)
    assert lines == [
        b"a",
        b"[2 lines of the log were lost by the cluster]",
        b"d",
        b"e",
        b"[2 lines of the log were lost by the cluster]",
    ]


def test_the_missing_record_may_still_come(tmp_path: Path) -> None:
    assembler, lines = _assembler(tmp_path)
    for record in (b"1 a", b"3 c", b"2 b", b"3 c", b"4 d"):
        assembler.feed(record)
    assembler.give_up(4)
    assert lines == [b"a", b"b", b"c", b"d"]


def test_a_line_in_several_records(tmp_path: Path) -> None:
    assembler, lines = _assembler(tmp_path)
    line = b"x" * (2 * RECORD_SIZE + 5)
    for record in _records([b"a", line, b""]):
        assembler.feed(record)
    assert lines == [b"a", line, b""]


def test_other_output_is_shown_once(tmp_path: Path) -> None:
    assembler, lines = _assembler(tmp_path)
    assembler.feed(b"Traceback", "2026-01-01T00:00:00.1Z")
    assembler.feed(b"Traceback", "2026-01-01T00:00:00.1Z")
    assembler.feed(b"Traceback", "2026-01-01T00:00:00.2Z")
    assert lines == [b"Traceback", b"Traceback"]


@given(
    st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b"")), max_size=30),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6),
)
def test_any_pieces_and_the_complete_log(lines: list[bytes], pieces: list[tuple[int, int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        assembler, delivered = _assembler(Path(directory))
        complete = _records(lines)
        for first, last in pieces:
            for record in complete[first:last]:
                assembler.feed(record)
        assembler.complete(complete)
        assembler.give_up(len(complete))
        assert delivered == lines


def test_too_much_behind_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedpkg_container.cluster.logs.MAX_HELD", 10)
    assembler, _ = _assembler(tmp_path)
    with pytest.raises(BuildFailedError):
        for number in range(3, 9):
            assembler.feed(b"%d text" % number)


def test_a_log_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"1 a\n2 b\n" * 1000)[:-20])
    with pytest.raises(BuildFailedError, match="cannot be read"):
        list(read_log(path))


@pytest.mark.parametrize("line", [b"", b"x", b"1", b"-1 a", b"1x", b"1" * 16 + b" a", "\u0661 a".encode()])
def test_what_is_no_record(line: bytes) -> None:
    assert Record.parse(line) is None


@given(st.text(), st.text())
@example("\U0001f600" * 1000, "\0" * 1000)
@example("\0" * 1000, "\ud800" * 1000)
def test_a_termination_message_fits(error: str, solution: str) -> None:
    message = TerminationMessage(10**15, "sha256:" + "a" * 64, error, solution)
    encoded = message.encode()
    assert len(encoded) <= 4096
    decoded = TerminationMessage.decode(encoded.decode())
    assert decoded is not None
    assert decoded.artifact == message.artifact
    assert printable(error).startswith(decoded.error.removesuffix("..."))


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"records": 1}', "null"])
def test_what_is_no_termination_message(text: str) -> None:
    assert TerminationMessage.decode(text) is None
