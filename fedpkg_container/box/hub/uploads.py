# SPDX-License-Identifier: GPL-2.0-or-later
"""Files uploaded by clients: allowed paths, and writing their parts."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import koji
import koji.util
from koji.context import context

from fedpkg_container.box.hub.dispatch import database, exception_fault
from fedpkg_container.box.hub.kinds import Integer, shown
from fedpkg_container.box.hub.lookups import relative_path

_TASK_ID = re.compile(r"[0-9]{1,18}")
_BLOCK = 64 * 1024
#: File in an upload directory with its owner.
_OWNER = ".user"
#: Maximum size of an uploaded file, bytes.
LARGEST_FILE = 1 << 40


def digest_class(name: str | None) -> Any:
    """Constructor of a checksum by Koji's name for it."""
    if not name:
        return hashlib.sha256
    if name == "adler32":
        return koji.util.adler32_constructor
    if name in {"md5", "sha256"}:
        return getattr(hashlib, name)
    raise koji.GenericError(f"Unsupported verify type: {shown(name)}")


def upload_path(directory: str, name: str, *, create: bool = False) -> Path:
    """Path of an upload below the work directory.

    :param create: create the directory if the caller may write there: to a task's directory only the host that runs
        the task, to any other only its first user
    :raises koji.GenericError: directory or name leads elsewhere
    """
    if not name or "/" in name or relative_path(name, "upload filename") != name:
        raise koji.GenericError(f"Invalid upload filename: {shown(name)}")
    relative = relative_path(directory, "upload directory")
    if not relative:
        raise koji.GenericError(f"Invalid upload directory: {shown(directory)}")
    path = Path(koji.pathinfo.work(), relative)
    if create:
        _claim(path, relative.split("/"), directory)
    return path / name


def _claim(path: Path, parts: list[str], directory: str) -> None:
    """Create an upload directory for the caller, after checking that the caller may write there."""
    task = parts[0] == "tasks"
    if task:
        _assert_task_host(parts, directory)
    else:
        _assert_owner(path, directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        # A file has the name of a directory; Koji returns the exception itself.
        raise exception_fault(error) from error
    if not task:
        (path / _OWNER).write_text(str(context.session.user_id))


def _assert_task_host(parts: list[str], directory: str) -> None:
    from fedpkg_container.box.hub.calls.hosts import assert_task_of_host, calling_host

    if len(parts) < 3 or not _TASK_ID.fullmatch(parts[2]):
        raise koji.GenericError(f"Invalid task upload directory: {directory}")
    task_id = int(parts[2])
    assert_task_of_host(task_id, calling_host()["id"])
    if "/".join(parts[:3]) != koji.pathinfo.taskrelpath(task_id):
        raise koji.GenericError(f"Invalid task upload directory: {directory}")


def _assert_owner(path: Path, directory: str) -> None:
    owner = path / _OWNER
    if owner.is_file() and owner.read_text() != str(context.session.user_id):
        raise koji.GenericError(f"Invalid upload directory, not owner: {directory}")


def checked_offset(offset: int) -> int:
    """Check an offset in a file; -1 is the end.

    :raises koji.GenericError: it is too large
    """
    if not -1 <= offset <= LARGEST_FILE:
        raise koji.GenericError(f"Invalid offset: {offset}")
    return offset


class Upload:
    """A part of a file in a request's body (Koji's fast upload).

    Create it in a transaction, which checks that the caller may write there; write it outside.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        if not context.session.logged_in:
            raise koji.ActionNotAllowed("you must be logged-in to upload a file")
        try:
            query = parse_qs(environ.get("QUERY_STRING", ""), max_num_fields=20)
        except ValueError as error:
            raise koji.GenericError(f"Invalid upload parameters: {error}") from error
        arguments = {key: values[0] for key, values in query.items()}
        self.offset = checked_offset(Integer().convert(arguments.get("offset", "0")))
        self.size = Integer().convert(environ.get("CONTENT_LENGTH") or "0")
        self.overwrite = bool(arguments.get("overwrite"))
        self.verify = arguments.get("fileverify")
        digest_class(self.verify)
        self.path = upload_path(arguments.get("filepath", ""), arguments.get("filename", ""), create=True)
        self.input = environ["wsgi.input"]
        _assert_plain_file(self.path)
        if self.path.exists() and self.offset == 0 and not self.overwrite:
            raise koji.GenericError(f"upload path exists: {self.path}")

    def receive(self) -> dict[str, Any]:
        """Write the part; its description and checksum."""
        checksum = digest_class(self.verify)()
        offset, left = self.offset, self.size
        with _locked(self.path) as file:
            if offset == -1:
                offset = file.seek(0, os.SEEK_END)
            else:
                if self.overwrite:
                    file.truncate(offset)
                file.seek(offset)
            while left and (block := self.input.read(min(left, _BLOCK))):
                file.write(block)
                checksum.update(block)
                left -= len(block)
            self._assert_end(file, offset)
        return {
            "size": self.size - left,
            "fileverify": self.verify,
            "offset": offset,
            "hexdigest": checksum.hexdigest(),
        }

    def _assert_end(self, file: Any, offset: int) -> None:
        """Refuse a part that neither overwrites nor ends its file."""
        expected, actual = offset + self.size, file.seek(0, os.SEEK_END)
        if expected != actual:
            raise koji.GenericError(f"Incorrect upload length for {self.path} - Expected {expected}, actual {actual}")


def write_part(path: Path, offset: int, size: int, contents: bytes) -> None:
    """Write a part of a file from an XML-RPC call; -1 appends, 0 starts over (log files only)."""
    checked_offset(offset)
    _assert_plain_file(path)
    if path.exists() and offset == 0 and path.suffix != ".log":
        raise koji.GenericError(f"file already exists: {path}")
    with _locked(path) as file:
        if offset == 0 or (offset == -1 and size == len(contents)):
            file.truncate(0)
        file.seek(0, os.SEEK_END) if offset == -1 else file.seek(offset)
        file.write(contents)


def _assert_plain_file(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise koji.GenericError(f"destination not a file: {path}")


def _locked(path: Path) -> Any:
    """Open a file for writing, created if missing, locked against other uploads."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    file = os.fdopen(descriptor, "r+b")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise koji.LockError(str(error)) from error
    return file


def encoded(contents: bytes) -> str:
    """Base64 text without line breaks, for responses."""
    return base64.b64encode(contents).decode()


def task_directory(task_id: int) -> Path:
    """Task output directory."""
    return Path(koji.pathinfo.work(), koji.pathinfo.taskrelpath(task_id))


def known_task(task_id: int) -> bool:
    """Whether a task exists."""
    return bool(database().value("SELECT 1 FROM tasks WHERE id = ?", task_id))
