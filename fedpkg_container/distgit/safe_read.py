# SPDX-License-Identifier: GPL-2.0-or-later
"""Safely reading small configuration files of an untrusted checkout."""

from __future__ import annotations

import os
from pathlib import Path

from fedpkg_container.errors import RefusedError

#: Default maximum size of a file in bytes.
MAX_BYTES = 1024 * 1024
#: Byte order mark that some editors write at the start of UTF-8 files.
BYTE_ORDER_MARK = "\ufeff"


def read_bytes(directory: Path, name: str, *, max_bytes: int = MAX_BYTES) -> bytes | None:
    """Return the content of a file in a directory; None if it does not exist.

    :param max_bytes: maximum size in bytes
    :raises RefusedError: if it is not a regular file, links out of the directory, is too large, or cannot be read
    """
    path = directory / name
    if not os.path.lexists(path):
        return None
    if not _is_within(path, directory):
        raise RefusedError(
            f"{name} is a broken symbolic link, or leads out of the checkout", solution="replace it with a regular file"
        )
    if not path.is_file():
        raise RefusedError(f"{name} is not a regular file", solution="replace it with a regular file, or delete it")
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise RefusedError(f"cannot read {name}: {error.strerror}", solution="check its permissions") from error
    if len(content) > max_bytes:
        raise RefusedError(f"{name} is larger than {max_bytes} bytes", solution="shorten it")
    return content


def decode(content: bytes, name: str) -> str:
    """Decode the content of a file, without a byte order mark.

    :raises RefusedError: if it is not UTF-8
    """
    try:
        return content.removeprefix(BYTE_ORDER_MARK.encode()).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RefusedError(f"{name} is not UTF-8 text (line {line})", solution="save it as UTF-8") from error


def _is_within(path: Path, directory: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(directory.resolve())
    except (OSError, RuntimeError):
        return False  # a broken link, or a loop of links
