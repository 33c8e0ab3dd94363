# SPDX-License-Identifier: GPL-2.0-or-later
"""Named locks between threads, and between processes on one machine: a byte of a lock file for each name.

These are open file description locks (fcntl(2)), which the kernel releases when the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, LockedError
from fedpkg_container.files import open_without_links
from fedpkg_container.locking import acquire

#: Seconds to wait for another process, and between two attempts.
TIMEOUT = 600.0
POLL_INTERVAL = 0.02


@dataclass(frozen=True)
class Locks:
    """Locks by name.

    :param path: lock file; None: lock only between threads of this process
    """

    path: Path | None
    _thread_locks: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    _canceled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Stop waiting for other processes, in all threads."""
        self._canceled.set()

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a lock.

        :raises LockedError: if another process holds it for longer than ``TIMEOUT``
        :raises FedpkgContainerError: after ``cancel``
        :raises ConfigurationError: if the lock file cannot be opened
        """
        with self._thread_locks[name]:
            if self.path is None:
                yield
                return
            try:
                descriptor = open_without_links(self.path, os.O_RDWR | os.O_CREAT, mode=0o644)
            except OSError as error:
                raise ConfigurationError(
                    f"the lock file {self.path} cannot be opened: {error.strerror}",
                    solution="check [promotion] record, and the permissions of its directory",
                ) from error
            try:
                self._wait(descriptor, name)
                yield
            finally:
                os.close(descriptor)  # releases the lock

    def _wait(self, descriptor: int, name: str) -> None:
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
        lock_request = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0)

        def attempt() -> None:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock_request)

        def check_canceled() -> None:
            if self._canceled.is_set():
                raise FedpkgContainerError(f"{name}: canceled", solution="run the command again")

        try:
            acquire(attempt, timeout=TIMEOUT, tick=check_canceled, tick_interval=0.0, poll_interval=POLL_INTERVAL)
        except TimeoutError:
            raise LockedError(
                f"another process has held the lock of {name} for {TIMEOUT:g} s",
                solution=f"check which processes have {self.path} open (fuser), and what they are waiting for",
            ) from None
