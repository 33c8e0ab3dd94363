"""Reading the small files of a checkout that steer a build, whatever lies there under their name."""

from __future__ import annotations

import os
from pathlib import Path

from fedpkg_container.errors import RefusedError

#: The longest file that is read, bytes.
LONGEST = 1024 * 1024
#: What some editors put in front of UTF-8.
BYTE_ORDER_MARK = "\ufeff"


def read_bytes(folder: Path, name: str, *, longest: int = LONGEST) -> bytes | None:
    """The content of a file in a folder; None when there is none.

    :param longest: bytes that it may have
    :raises RefusedError: it is no file, is a link out of the folder, is too long, or cannot be read
    """
    path = folder / name
    if not os.path.lexists(path):
        return None
    if not _within(path, folder):
        raise RefusedError(f"{name} is a link that leads out of the checkout, or nowhere", solution="make it a file")
    if not path.is_file():
        raise RefusedError(f"{name} is not a file", solution="make it a file, or delete it")
    try:
        with path.open("rb") as file:
            content = file.read(longest + 1)
    except OSError as error:
        raise RefusedError(f"{name} cannot be read: {error.strerror}", solution="check its permissions") from error
    if len(content) > longest:
        raise RefusedError(f"{name} is longer than {longest} bytes", solution="shorten it")
    return content


def decode(content: bytes, name: str) -> str:
    """The text of a file, without the mark that some editors put in front of UTF-8.

    :raises RefusedError: it is not UTF-8
    """
    try:
        return content.removeprefix(BYTE_ORDER_MARK.encode()).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RefusedError(f"{name} is not UTF-8 text (line {line})", solution="save it as UTF-8") from error


def _within(path: Path, folder: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False  # a link that leads nowhere, or to itself
