# SPDX-License-Identifier: GPL-2.0-or-later
"""File locks: waiting, time limit, tick callback, shared mode, and deletion by the holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

import pytest

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.locking import locked


def test_tick_and_timeout_end_the_wait(tmp_path: Path) -> None:
    def end() -> None:
        raise KeyboardInterrupt

    path = tmp_path / "lock"
    with locked(path, wait=True), pytest.raises(KeyboardInterrupt), locked(path, wait=True, tick=end):
        pass
    with (
        locked(path, wait=True),
        pytest.raises(FedpkgContainerError, match=r"was locked for 0\.2 s"),
        locked(path, wait=True, timeout=0.2),
    ):
        pass


def test_shared_locks_exclude_exclusive_ones_only(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, wait=False, shared=True), locked(path, wait=False, shared=True):
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
    with locked(path, wait=False), pytest.raises(BlockingIOError), locked(path, wait=False, shared=True):
        pass


def test_lock_of_a_deleted_file_is_not_the_lock_of_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, wait=True):
        path.unlink()
        with locked(path, wait=False) as file:
            assert path.stat().st_ino == os.fstat(file.fileno()).st_ino


def test_permissions_of_a_new_file(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", wait=False, mode=0o600):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_lock_of_a_file_deleted_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that opened a file that its holder then deletes locks the new file."""
    path, original = tmp_path / "record", fcntl.flock
    calls: list[int] = []

    def late(file: IO[str], operation: int) -> None:
        if not calls:
            path.unlink()
        calls.append(operation)
        original(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(path, wait=True) as file:
        assert os.path.samestat(os.fstat(file.fileno()), path.stat())
    assert len(calls) == 2
