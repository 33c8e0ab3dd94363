# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub of a box wakes its builders when a task has changed, so that idle builders poll rarely.

A builder waits on a FIFO in its directory, and the hub writes to the FIFOs of all builders. A lost byte only delays a
builder, which polls anyway.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Name of the FIFO in a builder's directory.
FIFO = "wake"
#: Maximum number of bytes per read.
_CHUNK = 4096


@contextmanager
def waking(directory: Path) -> Iterator[int]:
    """Create a builder's FIFO, and yield a descriptor that is readable when the builder is to poll.

    :param directory: of the builder
    """
    path = directory / FIFO
    if not path.is_fifo():
        path.unlink(missing_ok=True)  # any other file, e.g. of a restored copy, would always be readable
        os.mkfifo(path, 0o600)
    # Open for writing too: otherwise, it would be at EOF, and therefore readable, after a writer has closed it.
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def clear(descriptor: int) -> None:
    """Read all bytes that woke a builder."""
    with contextlib.suppress(BlockingIOError):
        while len(os.read(descriptor, _CHUNK)) == _CHUNK:
            pass


def wake(directory: Path) -> None:
    """Wake all builders that are running; ignore the others.

    :param directory: of the builders
    """
    for path in directory.glob(f"*/{FIFO}"):
        with contextlib.suppress(OSError):  # no reader, or the FIFO is full: the builder will poll
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(descriptor, b"\n")
            finally:
                os.close(descriptor)
