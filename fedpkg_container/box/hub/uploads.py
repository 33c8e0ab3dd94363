"""Files that clients send: where they may go, and how a part of one is written."""

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
#: The file in an upload folder that says whose it is.
_OWNER = ".user"
#: The largest file that can be uploaded, bytes.
LARGEST_FILE = 1 << 40


def digest_class(name: str | None) -> Any:
    """The constructor of a checksum by Koji's name for it."""
    if not name:
        return hashlib.sha256
    if name == "adler32":
        return koji.util.adler32_constructor
    if name in {"md5", "sha256"}:
        return getattr(hashlib, name)
    raise koji.GenericError(f"Unsupported verify type: {shown(name)}")


def upload_path(directory: str, name: str, *, create: bool = False) -> Path:
    """Where an upload goes below the work folder.

    :param create: make the folder, after checking that the caller may write there: into a task's folder only the host
        that runs the task, into any other only the user who came first
    :raises koji.GenericError: the folder or the name would lead elsewhere
    """
    if not name or "/" in name or relative_path(name, "upload filename") != name:
        raise koji.GenericError(f"Invalid upload filename: {shown(name)}")
    relative = relative_path(directory, "upload directory")
    if not relative:
        raise koji.GenericError(f"Invalid upload directory: {shown(directory)}")
    folder = Path(koji.pathinfo.work(), relative)
    if create:
        _claim(folder, relative.split("/"), directory)
    return folder / name


def _claim(folder: Path, parts: list[str], directory: str) -> None:
    """Make an upload folder for the caller. Nothing is made before the caller is known to be allowed to write there."""
    task = parts[0] == "tasks"
    if task:
        _assert_task_host(parts, directory)
    else:
        _assert_owner(folder, directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        # A file has the name of one of the folders; Koji answers with the exception itself.
        raise exception_fault(error) from error
    if not task:
        (folder / _OWNER).write_text(str(context.session.user_id))


def _assert_task_host(parts: list[str], directory: str) -> None:
    from fedpkg_container.box.hub.calls.hosts import assert_task_of_host, calling_host

    if len(parts) < 3 or not _TASK_ID.fullmatch(parts[2]):
        raise koji.GenericError(f"Invalid task upload directory: {directory}")
    task_id = int(parts[2])
    assert_task_of_host(task_id, calling_host()["id"])
    if "/".join(parts[:3]) != koji.pathinfo.taskrelpath(task_id):
        raise koji.GenericError(f"Invalid task upload directory: {directory}")


def _assert_owner(folder: Path, directory: str) -> None:
    owner = folder / _OWNER
    if owner.is_file() and owner.read_text() != str(context.session.user_id):
        raise koji.GenericError(f"Invalid upload directory, not owner: {directory}")


def checked_offset(offset: int) -> int:
    """Where a part of a file begins; -1 is the end.

    :raises koji.GenericError: no file is as large
    """
    if not -1 <= offset <= LARGEST_FILE:
        raise koji.GenericError(f"Invalid offset: {offset}")
    return offset


class Upload:
    """A part of a file as the body of a request (Koji's fast upload).

    Made inside a transaction, which checks that the caller may write there; written outside of it.
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
