"""Reading the small files of a checkout that steer a build, whatever lies there under their name; and writing them."""

from __future__ import annotations

import codecs
import os
import secrets
import stat
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError, RefusedError

#: The longest file that is read, bytes.
LONGEST = 1024 * 1024


def read_bytes(folder: Path, name: str) -> bytes | None:
    """The content of a file in a folder; None when there is none.

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
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise RefusedError(f"{name} cannot be read: {error.strerror}", solution="check its permissions") from error
    if len(content) > LONGEST:
        raise RefusedError(f"{name} is longer than {LONGEST} bytes", solution="shorten it")
    return content


def decode(content: bytes, name: str) -> str:
    """The text of a file, without the mark that some editors put in front of UTF-8.

    :raises RefusedError: it is not UTF-8
    """
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RefusedError(f"{name} is not UTF-8 text (line {line})", solution="save it as UTF-8") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that others see the old content or the new one; a link is followed, the mode is kept.

    :raises FedpkgContainerError: the folder cannot be written to
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if path.exists():
                    os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise FedpkgContainerError(
            f"{path} cannot be written: {error.strerror}", solution="check the folder's permissions and space"
        ) from error


def _within(path: Path, folder: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False  # a link that leads nowhere, or to itself
