# SPDX-License-Identifier: GPL-2.0-or-later
"""File locks between processes: the kernel releases them when the process that holds them ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.files import open_without_links

#: Default time to wait for a lock, in seconds.
TIMEOUT = 3600.0
#: Seconds between two attempts to acquire a lock, and between two calls of ``tick`` while waiting.
POLL_INTERVAL = 0.05
TICK_INTERVAL = 1.0

_Result = TypeVar("_Result")


def _do_nothing() -> None:
    """Default ``tick``."""


def acquire(
    attempt: Callable[[], _Result],
    *,
    timeout: float = TIMEOUT,
    tick: Callable[[], None] = _do_nothing,
    tick_interval: float = TICK_INTERVAL,
    poll_interval: float = POLL_INTERVAL,
) -> _Result:
    """Call ``attempt`` until it does not raise BlockingIOError, and return its result.

    :param timeout: seconds
    :param tick: called every ``tick_interval`` seconds while waiting; an exception that it raises ends the wait
    :raises TimeoutError: the lock was not free within ``timeout`` seconds
    """
    ticked = time.monotonic()
    deadline = ticked + timeout
    while True:
        with contextlib.suppress(BlockingIOError):
            return attempt()
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError
        if now - ticked >= tick_interval:
            ticked = now
            tick()
        time.sleep(poll_interval)


@contextlib.contextmanager
def locked(
    path: Path,
    *,
    wait: bool,
    shared: bool = False,
    timeout: float = TIMEOUT,
    tick: Callable[[], None] = _do_nothing,
    mode: int = 0o666,
) -> Iterator[IO[str]]:
    """Hold the lock of a file (flock(2)), which is created if missing; a holder of an exclusive lock may delete it.

    :param wait: wait for the lock instead of raising BlockingIOError
    :param shared: allow other shared holders
    :param timeout: seconds to wait
    :param tick: called every second while waiting; an exception that it raises ends the wait
    :param mode: permissions of a new file, before the umask
    :returns: the file, open for reading and appending
    :raises BlockingIOError: another process holds the lock, and ``wait`` is false
    :raises FedpkgContainerError: the lock was not free within ``timeout`` seconds
    :raises OSError: the file cannot be opened, or is a link
    """
    operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB

    def attempt() -> IO[str]:
        while True:
            with contextlib.ExitStack() as stack:
                opener = functools.partial(open_without_links, mode=mode)
                file = stack.enter_context(open(path, "a+", encoding="utf-8", errors="replace", opener=opener))
                fcntl.flock(file, operation)
                if _is_at(file, path):
                    stack.pop_all()
                    return file

    try:
        file = acquire(attempt, timeout=timeout, tick=tick) if wait else attempt()
    except TimeoutError:
        raise FedpkgContainerError(
            f"{path} was locked for {timeout:g} s", solution="wait until the other process has ended, and try again"
        ) from None
    with file:
        yield file


def _is_at(file: IO[str], path: Path) -> bool:
    """Return whether ``path`` still names the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
