# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of the state of ``fedpkg-container-registry`` are never written through links, nor by root for another user."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, UsageError
from fedpkg_container.files import write_atomically, write_when_different
from fedpkg_container.registry.catalog.run import _locked_directory
from fedpkg_container.registry.messages.outbox import Outbox
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.mirror.options import Options
from fedpkg_container.registry.mirror.run import _locked_tree
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import PROMOTE, JournalEntry, TagMove

PRECIOUS = "a file outside of the state directory"
FOREIGN = 12345


class _Publisher:
    def publish(self, message: object) -> None:
        """Accept every message."""


def change(number: int) -> JournalEntry:
    return JournalEntry.start(
        PROMOTE, target="stable", repository="r.example.org/hello", nvr=f"hello-1-{number}", digest=f"sha256:{number}",
        tags={"latest": TagMove("", f"sha256:{number}")},
    ).done()  # fmt: skip


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious"
    path.write_text(PRECIOUS)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir()
    return path


def _send(journal: Journal) -> None:
    outbox = Outbox(journal, _Publisher())
    outbox.prepare()
    result = outbox.send()
    if result.error:
        raise FedpkgContainerError(result.error)


@pytest.mark.parametrize(
    ("suffix", "use"),
    [
        ("", lambda journal: journal.append(change(2))),
        ("", Journal.check),
        (".lock", lambda journal: journal.append(change(2))),
        (".sent", _send),
    ],
    ids=["journal", "check of the journal", "lock", "position of messages"],
)
def test_links_beside_the_journal_are_refused(
    suffix: str, use: Callable[[Journal], None], state: Path, precious: Path
) -> None:
    path = state / "record.jsonl"
    (state / f"record.jsonl{suffix}").symlink_to(precious)
    journal = Journal(path)
    with pytest.raises(FedpkgContainerError, match=r"symbolic link|cannot be written$"):
        use(journal)
    journal.close()
    assert precious.read_text() == PRECIOUS


def test_index_that_is_a_link_is_not_used(state: Path, precious: Path) -> None:
    journal = Journal(state / "record.jsonl")
    (state / "record.jsonl.index").symlink_to(precious)
    journal.append(change(1))
    assert [entry.nvr for entry in journal.entries()] == ["hello-1-1"]
    assert journal.repositories() == ["r.example.org/hello"]
    journal.close()
    assert precious.read_text() == PRECIOUS
    assert (state / "record.jsonl.index").is_symlink()


def test_position_that_became_a_link_is_replaced(state: Path, precious: Path) -> None:
    path = state / "record.jsonl.sent"
    path.symlink_to(precious)
    write_atomically(path, "new", follow=False)
    assert (path.is_symlink(), path.read_text(), precious.read_text()) == (False, "new", PRECIOUS)


def test_position_that_is_a_fifo_is_an_error(state: Path) -> None:
    """Without waiting for another process."""
    os.mkfifo(state / "record.jsonl.sent")
    with pytest.raises(ConfigurationError, match="the position of sent messages: it is invalid"):
        _send(Journal(state / "record.jsonl"))


def test_lock_of_a_directory_is_not_a_link(state: Path, precious: Path) -> None:
    (state / "lock").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic link"), locked(state / "lock", state):
        pass
    assert precious.read_text() == PRECIOUS


def test_pages_are_not_written_through_links(state: Path, precious: Path) -> None:
    (state / ".index.html.new").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic link"):
        write_when_different(state / "index.html", "new")
    (state / ".index.html.new").unlink()
    (state / "index.html").symlink_to(precious)
    assert write_when_different(state / "index.html", "new")
    assert ((state / "index.html").is_symlink(), precious.read_text()) == (False, PRECIOUS)


def _lock_tree(directory: Path) -> None:
    with _locked_tree(Options(directory)):
        pass


def _lock_catalog(directory: Path) -> None:
    with _locked_directory(directory):
        pass


@pytest.mark.parametrize(
    "use",
    [lambda directory: Journal(directory / "record.jsonl").check(), _lock_tree, _lock_catalog],
    ids=["journal", "mirror", "catalog"],
)
def test_root_does_not_write_for_another_user(
    use: Callable[[Path], None], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(state)
    if os.geteuid() == 0:
        os.chown(state, FOREIGN, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(UsageError) as raised:
        use(state)
    assert f"{state} belongs to the user" in raised.value.reason
    assert raised.value.solution.startswith("run the command as this user: sudo -u")


def test_root_reads_the_journal_of_another_user_without_its_index(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(state / "record.jsonl").append(change(1))
    if os.geteuid() == 0:
        os.chown(state, FOREIGN, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Journal(state / "record.jsonl").repositories() == ["r.example.org/hello"]
    assert not (state / "record.jsonl.index").exists()
