"""One mirror at a time on one folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.text import printable_line


@contextlib.contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold a lock; the kernel gives it back when this process ends, however that comes about.

    :param path: a file that says who holds the lock
    :param what: what nobody else may work on
    :raises FedpkgContainerError: another process holds it
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = printable_line(file.read(200).strip()) or "another process"
            raise FedpkgContainerError(
                f"{what} is being worked on by {holder}", solution="wait for its end, or stop it"
            ) from None
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        file.truncate()
        file.write(f"process {os.getpid()} on {os.uname().nodename} since {since}\n")
        file.flush()
        yield
        file.truncate(0)
