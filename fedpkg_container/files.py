# SPDX-License-Identifier: GPL-2.0-or-later
"""Atomic writing of files."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path


def check_writable(path: Path) -> None:
    """Check that a file can be written, without changing it.

    :raises OSError: if it cannot
    """
    path = path.resolve() if path.is_symlink() else path
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def write_atomically(path: Path, text: str, *, mode: int | None = None) -> None:
    """Replace a file so that readers see either the old or the complete new content.

    :param mode: permissions; None for those of the existing file, or the default of a new one
    :raises OSError: if the file cannot be written; it is unchanged then
    """
    path = path.resolve() if path.is_symlink() else path
    if mode is None:
        with contextlib.suppress(OSError):
            mode = path.stat().st_mode & 0o7777
    if mode is None:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def write_when_different(path: Path, text: str) -> None:
    """Write a file unless it holds the text already; programs that have it open keep what they opened.

    It is not synchronized with the disk.

    :raises OSError: it could not be written
    """
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == text.encode():
            return
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.replace(path)
