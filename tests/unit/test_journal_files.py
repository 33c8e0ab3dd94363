# SPDX-License-Identifier: GPL-2.0-or-later
"""The files and the index of the promotion journal: rotation, incremental reading, edited and unreadable files."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.commands.registry import arguments
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.mirror.selection import journal_changes
from fedpkg_container.registry.promotion import journal_files
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, STAGE, UNPROMOTE, JournalEntry, TagMove
from fedpkg_container.registry.promotion.journal_files import JournalFiles, Line, Position
from tests.support.waiting import PATIENCE


def entry(number: int, repository: str = "hello") -> JournalEntry:
    """A promotion; its digest is made of the number."""
    digest, before = f"sha256:{number}", f"sha256:{number - 1}"
    return JournalEntry.start(
        PROMOTE, target="stable", repository=f"r.example.org/{repository}", nvr=f"{repository}-1-{number}",
        digest=digest, tags={"latest": TagMove(before, digest)},
    )  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """A journal whose files have few lines."""
    monkeypatch.setattr(journal_files, "ROTATE_SIZE", 2000)
    made = Journal(tmp_path / "record.jsonl")
    yield made
    made.close()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that were parsed."""
    lines: list[bytes] = []
    read = JournalEntry.read.__func__  # type: ignore[attr-defined]

    def counted(cls: type[JournalEntry], line: bytes) -> JournalEntry:
        lines.append(line)
        return read(cls, line)  # type: ignore[no-any-return]

    monkeypatch.setattr(JournalEntry, "read", classmethod(counted))
    return lines


def fill(journal: Journal, count: int, first: int = 1, repository: str = "hello") -> None:
    for number in range(first, first + count):
        journal.append(entry(number, repository).done())


def test_rotation_keeps_all_entries(journal: Journal, tmp_path: Path) -> None:
    fill(journal, 20)
    names = sorted(path.name for path in tmp_path.glob("record.jsonl*") if path.suffix not in (".lock", ".index"))
    assert len(names) > 3 and "record.jsonl.1" in names
    assert [each.nvr for each in journal.entries()] == [f"hello-1-{number}" for number in range(1, 21)]
    history = journal.history("r.example.org/hello")
    assert history.before("latest", "sha256:20")[:2] == ["sha256:19", "sha256:18"]
    assert max(path.stat().st_size for path in tmp_path.glob("record.jsonl.[0-9]*")) < 3000


def test_only_new_lines_and_those_of_the_repository_are_parsed(journal: Journal, parsed: list[bytes]) -> None:
    fill(journal, 30)
    fill(journal, 2, repository="other")
    assert journal.repositories() == ["r.example.org/hello", "r.example.org/other"]
    assert len(parsed) == 32
    parsed.clear()
    again = Journal(journal.path)
    assert len(again.history("r.example.org/other").builds) == 2
    assert len(parsed) == 2, "the index is kept between processes"
    parsed.clear()
    fill(journal, 1, 3, "other")
    assert len(again.history("r.example.org/other").builds) == 3
    assert len(parsed) == 1 + 3
    again.close()


def test_builds_are_found_by_name(journal: Journal) -> None:
    fill(journal, 5)
    fill(journal, 5, repository="other")
    assert journal.index is not None
    assert journal.index.repositories_of("other-1-3", "stable") == ["r.example.org/other"]
    assert journal.index.repositories_of("other-1-3", "testing") == []


def _drop_second_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))


@pytest.mark.parametrize("name", ["record.jsonl.1", "record.jsonl"])
def test_edited_journal_is_read_again(journal: Journal, tmp_path: Path, name: str) -> None:
    fill(journal, 9)
    assert len(journal.history("r.example.org/hello").builds) == 9
    journal.close()
    if len((tmp_path / name).read_bytes().splitlines()) < 2:
        fill(journal, 1, 10)
    count = len(journal.entries())
    _drop_second_line(tmp_path / name)
    assert len(journal.history("r.example.org/hello").builds) == count - 1
    journal.close()
    assert len(journal.history("r.example.org/hello").builds) == count - 1, "and again by another process"


def test_damaged_index_is_recreated(journal: Journal, tmp_path: Path, parsed: list[bytes]) -> None:
    fill(journal, 9)
    journal.repositories()
    journal.close()
    (tmp_path / "record.jsonl.index").write_bytes(b"SQLite format 3\0 and nothing else")
    assert len(journal.history("r.example.org/hello").builds) == 9
    journal.close()
    parsed.clear()
    assert len(journal.history("r.example.org/hello").builds) == 9
    journal.close()
    parsed.clear()
    assert len(journal.history("r.example.org/hello").builds) == 9
    assert len(parsed) == 9


def test_index_that_cannot_be_written(journal: Journal, tmp_path: Path) -> None:
    fill(journal, 9)
    (tmp_path / "record.jsonl.index").mkdir()
    assert len(journal.history("r.example.org/hello").builds) == 9
    fill(journal, 1, 10)
    assert len(journal.history("r.example.org/hello").builds) == 10


def test_index_of_another_version_is_recreated(journal: Journal, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "record.jsonl.index")
    database.executescript("CREATE TABLE lines (x); CREATE TABLE more (y); PRAGMA user_version = 99")
    database.close()
    fill(journal, 3)
    assert len(journal.history("r.example.org/hello").builds) == 3


def test_invalid_line_is_named_with_its_file(journal: Journal, tmp_path: Path) -> None:
    fill(journal, 9)
    path = tmp_path / "record.jsonl.1"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"nonsense\n" + b"".join(lines[1:]))
    with pytest.raises(ConfigurationError, match=r"invalid line 2 in the promotion journal .*record.jsonl.1: "):
        journal.repositories()


def test_file_that_is_renamed_while_it_is_read(journal: Journal) -> None:
    fill(journal, 3)
    assert journal.path is not None
    files = JournalFiles(journal.path)
    lines = files.lines(Position())
    found: list[Line] = [next(lines)]
    fill(journal, 9, 4)  # renames it, some times
    found += lines
    assert [json.loads(line.content)["digest"] for line in found] == [f"sha256:{number}" for number in range(1, 13)]


def test_file_that_is_missing_for_a_moment_is_opened_again(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(journal, 1)
    assert journal.path is not None
    paths = iter([tmp_path / "renamed", journal.path])
    monkeypatch.setattr(JournalFiles, "_path", lambda *_: next(paths))
    assert JournalFiles(journal.path).read(1, 0, 1) == b"{"


def test_readers_and_writers_at_once(journal: Journal) -> None:
    writers = [threading.Thread(target=fill, args=(Journal(journal.path), 15, 1, name)) for name in "ab"]
    for thread in writers:
        thread.start()
    seen = [0]
    while any(thread.is_alive() for thread in writers):
        reader = Journal(journal.path)
        seen.append(sum(len(reader.history(f"r.example.org/{name}").builds) for name in "ab"))
        reader.close()
    for thread in writers:
        thread.join(PATIENCE)
    assert seen == sorted(seen), "nothing that was seen disappears"
    assert sum(len(journal.history(f"r.example.org/{name}").builds) for name in "ab") == 30


def test_mirror_reads_on_across_files(journal: Journal, parsed: list[bytes]) -> None:
    assert journal.path is not None
    fill(journal, 9, repository="a")
    begun = entry(10, "unfinished")
    journal.append(begun)
    position = journal_changes(journal.path, "").position
    parsed.clear()
    assert journal_changes(journal.path, position).repositories == frozenset({"unfinished"})
    assert parsed == []
    fill(journal, 9, 11, "b")
    journal.append(begun.done())
    after = journal_changes(journal.path, position)
    assert after.repositories == frozenset({"b", "unfinished"})
    assert len(parsed) == 10
    assert journal_changes(journal.path, after.position).repositories == frozenset()


def test_other_kinds_of_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        Journal(tmp_path / "fifo").repositories()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        Journal(tmp_path).repositories()


@pytest.mark.parametrize("text", ["", "[1]", '{"file": "x"}', '{"file": 0, "offset": 0}', "123 sha256:0"])
def test_invalid_positions(text: str) -> None:
    assert Position.from_text(text) is None


def test_completion_reads_the_newest_files(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(journal, 9)
    monkeypatch.setattr(arguments, "journal_path", lambda _: journal.path)
    while journal.path is not None and journal.path.exists():  # until a new file is due
        fill(journal, 1, 10 + os.path.getsize(journal.path))
    monkeypatch.setattr(arguments, "is_safe", lambda _: True)
    offered = arguments._complete_promoted(parsed_args=argparse.Namespace(to="stable", config=None))
    assert offered


def test_completion_offers_staged_builds(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """``unpromote --delete`` deletes them; a build that was promoted since is shown as that."""
    monkeypatch.setattr(arguments, "journal_path", lambda _: journal.path)
    for what, nvr in ((STAGE, "hello-1-1"), (STAGE, "hello-1-2"), (PROMOTE, "hello-1-1"), (STAGE, "hello-1-1")):
        journal.append(JournalEntry.start(what, target="stable", repository="r/hello", nvr=nvr, digest=f"sha256:{nvr}"))
    offered = arguments._complete_promoted(parsed_args=argparse.Namespace(to="stable", config=None))
    assert {nvr: text.partition(" ")[0] for nvr, text in offered.items()} == {
        "hello-1-1": "promoted",
        "hello-1-2": "staged",
    }


def test_promotions_to_a_target(journal: Journal) -> None:
    fill(journal, 4)
    journal.append(entry(1).done())  # again: the last one counts
    journal.append(entry(9))  # not completed
    journal.append(replace(entry(5).done(), target="testing"))
    journal.append(replace(entry(6).done(), repository="r.example.org.other/hello"))
    journal.append(replace(entry(2).done(), what=UNPROMOTE))
    index = journal.index
    assert index is not None
    latest = index.latest_promotions("stable", "r.example.org", 3)
    assert [each.digest for each in latest] == ["sha256:1", "sha256:4", "sha256:3"], "the newest first"
    assert set(index.promotion_times("stable", "r.example.org")) == {
        ("r.example.org/hello", f"sha256:{number}") for number in (1, 2, 3, 4)
    }
    times = {each.digest: each.ended for each in latest}
    found = index.promotion_times("stable", "r.example.org")
    assert {digest: found["r.example.org/hello", digest] for digest in times} == times


def test_reading_promotions_parses_what_is_new_and_shown(journal: Journal, parsed: list[bytes]) -> None:
    fill(journal, 30)
    assert journal.index is not None
    assert len(journal.index.promotion_times("stable", "r.example.org")) == 30
    journal.close()
    parsed.clear()
    again = Journal(journal.path)
    assert again.index is not None
    assert len(again.index.promotion_times("stable", "r.example.org")) == 30
    assert len(again.index.latest_promotions("stable", "r.example.org", 5)) == 5
    assert len(parsed) == 5
    again.close()
