# SPDX-License-Identifier: GPL-2.0-or-later
"""The promotion journal: durability, incomplete lines, locks between processes, and the derived history."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.registry.promotion.history import RepositoryHistory
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, UNPROMOTE, JournalEntry, TagMove
from fedpkg_container.registry.promotion.locks import Locks
from tests.support.waiting import PATIENCE

PLACE = "registry.example.org/hello"


def entry(nvr: str = "hello-1-1", what: str = PROMOTE, **facts: Any) -> JournalEntry:
    """A change; its digest is made of the NVR."""
    known = {"target": "stable", "repository": PLACE, "nvr": nvr, "digest": f"sha256:{nvr}", **facts}
    return JournalEntry.start(what, **known)


def moved(before: str, after: str, *tags: str) -> dict[str, TagMove]:
    """Tags that go from one build to another; an empty one for nothing."""
    return dict.fromkeys(tags, TagMove(f"sha256:{before}" if before else "", f"sha256:{after}"))


def history(*entries: JournalEntry) -> Any:
    return RepositoryHistory.of(entries)


def test_round_trip(tmp_path: Path) -> None:
    record = Journal(tmp_path / "record.jsonl")
    assert record.entries() == []
    begun = entry(tags=moved("", "hello-1-1", "1"), source="c.example.org/hello@sha256:0", deleted=("sha256:1",))
    record.append(begun)
    record.append(begun.done())
    assert record.entries()[0] == begun
    assert record.entries()[1].state == "done"
    lines = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert [each["format"] for each in lines] == [1, 1]
    assert lines[1]["ended"] >= lines[0]["time"]


@given(st.integers(min_value=0, max_value=2000))
def test_incomplete_last_line_is_ignored_and_removed(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.mktemp("record") / "record.jsonl"
    record = Journal(path)
    first = entry()
    record.append(first)
    with path.open("ab") as file:
        file.write(entry("hello-2-1").line()[:length].rstrip(b"\n") or b"{")
    assert record.entries() == [first]
    record.append(first.done())
    assert [each.state for each in record.entries()] == ["begun", "done"]


def test_incomplete_line_longer_than_one_read(tmp_path: Path) -> None:
    record = Journal(tmp_path / "record.jsonl")
    record.append(entry())
    with (tmp_path / "record.jsonl").open("ab") as file:
        file.write(b"x" * 10_000)
    record.append(entry("hello-1-2"))
    assert [each.nvr for each in record.entries()] == ["hello-1-1", "hello-1-2"]


@pytest.mark.parametrize("line", ["", "nonsense", "[]", '{"format": 2}', '{"format": 1, "tags": 3}'])
def test_invalid_line(line: str, tmp_path: Path) -> None:
    record = Journal(tmp_path / "record.jsonl")
    record.append(entry())
    with (tmp_path / "record.jsonl").open("a") as file:
        file.write(f"{line}\n")
    record.append(entry())
    with pytest.raises(ConfigurationError, match="invalid line 2 in the promotion journal"):
        record.entries()


def test_unwritable_journal(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "record.jsonl", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            Journal(path).check()
    Journal(tmp_path / "record.jsonl").check()
    assert list(tmp_path.iterdir()) == []


def _append(path: Path, number: int) -> None:
    for each in range(20):
        Journal(path).append(entry(f"hello-{number}-{each}"))


@pytest.mark.programs
def test_concurrent_writers(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    context = multiprocessing.get_context("forkserver")
    children = [context.Process(target=_append, args=(path, each)) for each in range(3)]
    threads = [threading.Thread(target=_append, args=(path, each)) for each in (3, 4)]
    workers: list[Any] = [*children, *threads]
    for each in workers:
        each.start()
    for each in workers:
        each.join(PATIENCE)
    assert len({each.nvr for each in Journal(path).entries()}) == 100


def _hold(path: Path, name: str, held: Any, seconds: float) -> None:
    with Locks(path).hold(name):
        held.set()
        time.sleep(seconds)


@pytest.mark.programs
def test_locks_are_named_and_released_at_exit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    context = multiprocessing.get_context("forkserver")
    held = context.Event()
    child = context.Process(target=_hold, args=(path, "hello", held, 2 * PATIENCE))
    child.start()
    assert held.wait(PATIENCE)
    locks = Locks(path)
    with locks.hold("other"):
        pass
    monkeypatch.setattr("fedpkg_container.registry.promotion.locks.TIMEOUT", 0.1)
    with pytest.raises(FedpkgContainerError, match="another process has held the lock of hello"), locks.hold("hello"):
        pass
    monkeypatch.setattr("fedpkg_container.registry.promotion.locks.TIMEOUT", PATIENCE)
    threading.Timer(0.2, locks.cancel).start()
    with pytest.raises(FedpkgContainerError, match="canceled"), locks.hold("hello"):
        pass
    child.kill()
    child.join(PATIENCE)
    with locks.hold("hello"):
        pass


@pytest.mark.parametrize("has_file", [True, False])
def test_locks_between_threads(has_file: bool, tmp_path: Path) -> None:
    locks, inside, most = Locks(tmp_path / "lock" if has_file else None), [0], [0]

    def enter() -> None:
        with locks.hold("hello"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE)
    assert (inside, most) == ([0], [1])


def test_promoted_builds() -> None:
    begun = entry(tags=moved("", "hello-1-1", "latest"))
    known = history(begun)
    assert (dict(known.promoted), list(known.unfinished)) == ({}, ["sha256:hello-1-1"])
    known = history(begun, begun.done())
    assert (list(known.promoted["sha256:hello-1-1"]), known.unfinished) == (["stable"], {})
    assert known.digests("hello-1-1", "stable") == ["sha256:hello-1-1"]
    assert known.digests("hello-1-1", "testing") == []


def test_previous_builds() -> None:
    one = entry("hello-1-1", tags=moved("", "hello-1-1", "latest")).done()
    two = entry("hello-1-2", tags=moved("hello-1-1", "hello-1-2", "latest")).done()
    three = entry("hello-1-3", tags=moved("hello-1-2", "hello-1-3", "latest")).done()
    known = history(one, two, three)
    assert known.before("latest", "sha256:hello-1-3") == ["sha256:hello-1-2", "sha256:hello-1-1"]
    back = entry("hello-1-2", UNPROMOTE).done()
    assert history(one, two, three, back).before("latest", "sha256:hello-1-3") == ["sha256:hello-1-1"]
    back = entry("hello-1-3", UNPROMOTE, tags=moved("hello-1-3", "hello-1-2", "latest")).done()
    assert history(one, two, three, back).before("latest", "sha256:hello-1-2") == ["sha256:hello-1-1"]


def test_tag_before_the_first_promotion_is_known() -> None:
    known = history(entry(tags=moved("somebody's", "hello-1-1", "latest")).done())
    assert known.before("latest", "sha256:hello-1-1") == ["sha256:somebody's"]


def test_build_that_keeps_a_tag_stays_in_its_history() -> None:
    one = entry(tags=moved("", "hello-1-1", "1", "latest")).done()
    known = history(one, entry(what=UNPROMOTE).done())
    assert known.tag_history["latest"] == ["sha256:hello-1-1"]
    gone = entry(what=UNPROMOTE, deleted=("sha256:hello-1-1",)).done()
    known = history(one, gone)
    assert (known.tag_history["latest"], "sha256:hello-1-1" in known.promoted) == ([], False)


def test_author(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "some\x1b[31mbody")
    assert "\x1b" not in entry().author
    assert entry().author.startswith("some")
