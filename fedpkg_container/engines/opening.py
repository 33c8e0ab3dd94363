# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening files that a worker wrote, while its processes may still change them.

A worker owns its directory, so that any name below it can become a link, a FIFO or another file between two calls. Each
path component is opened relative to the previous one, and no link is followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fedpkg_container.errors import FedpkgContainerError


def open_directory(path: Path, below: Path) -> int:
    """Return a descriptor of a directory.

    :param below: a directory that no worker can replace, without links in its path; ``path`` is this or below it
    :raises OSError: if a component is a link, or not a directory
    """
    current = os.open(below, os.O_RDONLY | os.O_DIRECTORY)
    for name in path.relative_to(below).parts:
        try:
            following = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        finally:
            os.close(current)
        current = following
    return current


def check_directory(path: Path) -> None:
    """Raise an error if a worker replaced its own directory, before the task reads there.

    Only a path in the directory of the build leads to it, and no worker may be running.

    :raises FedpkgContainerError: if it is a link, or not a directory
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = 0
    if not stat.S_ISDIR(mode):
        raise FedpkgContainerError(f"{path.name} is no longer a directory: a program of the build replaced it")


@contextlib.contextmanager
def opened_directory(path: Path, below: Path) -> Iterator[int]:
    """Open a directory during the block; yield the descriptor, as from ``open_directory``."""
    descriptor = open_directory(path, below)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_plain(path: Path, below: Path) -> IO[bytes]:
    """Open a regular file for reading, without blocking on a FIFO.

    :param below: as for ``open_directory``
    :raises OSError: if a component is a link, or the file is not regular
    """
    with opened_directory(path.parent, below) as parent:
        return open_plain_at(parent, path.name)


def open_plain_at(directory: int, name: str) -> IO[bytes]:
    """Open a regular file of a directory for reading.

    :param directory: its descriptor
    :raises OSError: if it is a link, or not a regular file
    """
    file = os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, f"not a plain file: {name}")
    return file
