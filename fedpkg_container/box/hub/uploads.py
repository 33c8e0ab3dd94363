"""Files that clients send: where they may go, and how a part of one is written."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import koji
import koji.util
from koji.context import context

from fedpkg_container.box.hub.dispatch import database

_BLOCK = 64 * 1024


def digest_class(name: str | None) -> Any:
    """The constructor of a checksum by Koji's name for it."""
    if not name:
        return hashlib.sha256
    if name == "adler32":
        return koji.util.adler32_constructor
    if name in {"md5", "sha256"}:
        return getattr(hashlib, name)
    raise koji.GenericError(f"Unsupported verify type: {name}")


def upload_path(directory: str, name: str, *, create: bool = False) -> Path:
    """Where an upload goes below the work folder.

    :param create: make the folder, and check that the caller may write there: into a task's folder only the host
        that runs the task, into any other only the user who came first
    :raises koji.GenericError: the folder or the name would lead elsewhere
    """
    if os.path.dirname(name) or name.startswith(".") or not name:
        raise koji.GenericError(f"Invalid upload filename: {name}")
    relative = os.path.normpath(directory)
    if not directory or relative.startswith("..") or os.path.isabs(relative):
        raise koji.GenericError(f"Invalid upload directory: {directory}")
    folder = Path(koji.pathinfo.work()) / relative
    if create:
        folder.mkdir(parents=True, exist_ok=True)
        parts = relative.split("/")
        if parts[0] == "tasks":
            _assert_task_host(parts, directory)
        else:
            _assert_owner(folder, directory)
    return folder / name


def _assert_task_host(parts: list[str], directory: str) -> None:
    from fedpkg_container.box.hub.calls.hosts import assert_task_of_host, calling_host

    if len(parts) < 3 or not parts[2].isdigit():
        raise koji.GenericError(f"Invalid task upload directory: {directory}")
    assert_task_of_host(int(parts[2]), calling_host()["id"])


def _assert_owner(folder: Path, directory: str) -> None:
    owner = folder / ".user"
    user_id = str(context.session.user_id)
    if not owner.exists():
        owner.write_text(user_id)
    elif owner.read_text() != user_id:
        raise koji.GenericError(f"Invalid upload directory, not owner: {directory}")


class Upload:
    """A part of a file as the body of a request (Koji's fast upload).

    Made inside a transaction, which checks that the caller may write there; written outside of it.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        if not context.session.logged_in:
            raise koji.ActionNotAllowed("you must be logged-in to upload a file")
        arguments = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        self.offset = int(arguments.get("offset", "0"))
        self.overwrite = bool(arguments.get("overwrite"))
        self.verify = arguments.get("fileverify")
        self.path = upload_path(arguments.get("filepath", ""), arguments.get("filename", ""), create=True)
        self.size = int(environ.get("CONTENT_LENGTH") or 0)
        self.input = environ["wsgi.input"]
        _assert_plain_file(self.path)
        if self.path.exists() and self.offset == 0 and not self.overwrite:
            raise koji.GenericError(f"upload path exists: {self.path}")

    def receive(self) -> dict[str, Any]:
        """Write the part; what was written, and its checksum."""
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
        """A part that does not overwrite has to be the last of its file."""
        expected, actual = offset + self.size, file.seek(0, os.SEEK_END)
        if expected != actual:
            raise koji.GenericError(f"Incorrect upload length for {self.path} - Expected {expected}, actual {actual}")


def write_part(path: Path, offset: int, size: int, contents: bytes) -> None:
    """A part of a file that came inside an XML-RPC call; -1 appends, 0 starts over (log files only)."""
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
    """The file, opened for writing, made when it is not there, and locked against other uploads."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    file = os.fdopen(descriptor, "r+b")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise koji.LockError(str(error)) from error
    return file


def encoded(contents: bytes) -> str:
    """Bytes as the hub answers them: base64 without line breaks."""
    return base64.b64encode(contents).decode()


def task_folder(task_id: int) -> Path:
    """Where a task's output is."""
    return Path(koji.pathinfo.work(), koji.pathinfo.taskrelpath(task_id))


def known_task(task_id: int) -> bool:
    """Whether there is such a task."""
    return bool(database().value("SELECT 1 FROM tasks WHERE id = ?", task_id))
