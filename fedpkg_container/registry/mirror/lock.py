# SPDX-License-Identifier: GPL-2.0-or-later
"""Lock against concurrent runs on the same tree."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container import locking
from fedpkg_container.errors import LockedError
from fedpkg_container.text import printable_line


@contextlib.contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold a lock, which the kernel releases when the process ends.

    :param path: lock file; contains the holder
    :param what: what is locked, for the error
    :raises LockedError: if another process holds it
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(locking.locked(path, wait=False, mode=0o600))
        except BlockingIOError:
            holder = (
                printable_line(path.read_text(encoding="utf-8", errors="replace")[:200].strip()) or "another process"
            )
            raise LockedError(f"{what} is locked by {holder}", solution="wait until it has ended, or stop it") from None
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename} since {since}\n")
        file.flush()
        yield
        file.truncate(0)
