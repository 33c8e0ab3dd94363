"""Locks between threads and between processes of one machine: one file, a byte of it for each thing that is locked.

The kernel keeps them for open files (fcntl(2), "Open file description locks"), so that they end with a process, however
it ends, and nothing is left that could be stale.
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

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.locking import acquire

#: Seconds that one waits for another process, and between two looks.
TIMEOUT = 600.0
LOOK = 0.02


@dataclass(frozen=True)
class Locks:
    """Locks by name.

    :param path: the file; None: only the threads of this process lock each other out
    """

    path: Path | None
    _own: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    _abandoned: threading.Event = field(default_factory=threading.Event)

    def abandon(self) -> None:
        """Wait for no other process any more, in any thread."""
        self._abandoned.set()

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold one lock.

        :raises FedpkgContainerError: another process held it for longer than ``TIMEOUT``, or it was abandoned
        :raises ConfigurationError: the file cannot be opened
        """
        with self._own[name]:
            if self.path is None:
                yield
                return
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise ConfigurationError(
                    f"the lock {self.path} cannot be opened: {error.strerror}",
                    solution="see [promotion] record, and who may write beside it",
                ) from error
            try:
                self._wait(descriptor, name)
                yield
            finally:
                os.close(descriptor)  # and with it the lock

    def _wait(self, descriptor: int, name: str) -> None:
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
        wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0)

        def attempt() -> None:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)

        def check_abandoned() -> None:
            if self._abandoned.is_set():
                raise FedpkgContainerError(f"{name}: given up", solution="run it again")

        try:
            acquire(attempt, timeout=TIMEOUT, tick=check_abandoned, tick_interval=0.0, poll_interval=LOOK)
        except TimeoutError:
            raise FedpkgContainerError(
                f"another process has kept {name} locked for {TIMEOUT:g} s", solution="see what it waits for"
            ) from None
