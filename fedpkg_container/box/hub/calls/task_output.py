# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of tasks: uploads, listings and downloads."""

from __future__ import annotations

import base64
import os
import stat as modes
from typing import Any

import koji

from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call
from fedpkg_container.box.hub.lookups import relative_path, require_login
from fedpkg_container.box.hub.parameters import Checksum, Content, Lookup
from fedpkg_container.box.hub.uploads import (
    LARGEST_FILE,
    digest_class,
    encoded,
    known_task,
    task_directory,
    upload_path,
    write_part,
)

#: Maximum part of a file in one response, bytes.
LONGEST_PART = 16 * 1024 * 1024
_BLOCK = 64 * 1024
_TIMES = ("st_atime", "st_mtime", "st_ctime")


@call("uploadFile", used_by="koji.daemon.incremental_upload")
def upload_file(
    path: str,
    name: str,
    size: int | None,
    md5sum: Checksum | None,
    offset: int,
    data: Content,
    volume: Lookup | None = None,
    checksum: Checksum | None = None,
) -> bool:
    """Write a part of a file; False if its size or checksum does not match."""
    require_login()
    try:
        contents = base64.b64decode(data)
    except ValueError as error:
        raise koji.GenericError(f"Invalid base64 data: {error}") from error
    expected = checksum if checksum is not None else md5sum
    if offset != -1:
        if size is not None and size != len(contents):
            return False
        kind, digest = ("md5", expected) if isinstance(expected, str) else (expected or (None, None))
        if kind is not None and digest_class(kind)(contents).hexdigest() != digest:
            return False
    write_part(upload_path(path, name, create=True), offset, len(contents) if size is None else size, contents)
    return True


@call("checkUpload", used_by="koji.ClientSession.uploadWrapper")
def check_upload(
    path: str, name: str, verify: str | None = None, tail: int | None = None, volume: Lookup | None = None
) -> Row | None:
    """Size, time and optional checksum of an uploaded file; None if missing."""
    file = upload_path(path, name)
    try:
        status = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not modes.S_ISREG(status.st_mode):
        raise koji.GenericError(f"Not a regular file: {name}")
    result: Row = {"size": status.st_size, "mtime": status.st_mtime}
    if verify:
        checksum = digest_class(verify)()
        length = 0
        with file.open("rb") as contents:
            contents.seek(0 if tail is None else min(max(status.st_size - tail, 0), status.st_size))
            for block in iter(lambda: contents.read(_BLOCK), b""):
                checksum.update(block)
                length += len(block)
        result |= {"sumlength": length, "hexdigest": checksum.hexdigest()}
    return result


@call("listTaskOutput", used_by="the client; koji taskinfo, watch-task, watch-logs, download-logs")
def list_task_output(taskID: int, stat: bool = False, all_volumes: bool = False, strict: bool = False) -> object:
    """Files that a task has uploaded so far."""
    if strict and not known_task(taskID):
        raise koji.GenericError("Task doesn't exist")
    top = task_directory(taskID)
    files: dict[str, Any] = {}
    for directory, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, top)
            if stat:
                status = os.stat(path)
                facts = {"st_size": str(status.st_size), **{key: getattr(status, key) for key in _TIMES}}
                files[relative] = {"DEFAULT": facts} if all_volumes else facts
            else:
                files[relative] = ["DEFAULT"]
    return files if stat or all_volumes else list(files)


@call("downloadTaskOutput", used_by="the client; the builder plugin; koji watch-logs, download-logs")
def download_task_output(
    taskID: int, fileName: str, offset: int | None = 0, size: int = -1, volume: Lookup | None = None
) -> str:
    """Part of a file uploaded by a task, in base64; a negative offset counts from the end."""
    if ".." in fileName:
        raise koji.GenericError(f"Invalid file name: {fileName}")
    relative = relative_path(fileName.lstrip("/"), "file name")
    path = task_directory(taskID) / relative
    if not relative or not path.is_file():
        raise koji.GenericError(f'no file "{fileName}" output by task {taskID}')
    start = offset or 0
    if start > LARGEST_FILE:
        raise koji.GenericError(f"Invalid offset: {start}")
    with path.open("rb") as file:
        if start > 0:
            file.seek(start)
        elif start < 0:
            file.seek(max(start, -path.stat().st_size), os.SEEK_END)
        contents = file.read(LONGEST_PART + 1 if size < 0 else min(size, LONGEST_PART))
    if len(contents) > LONGEST_PART:
        raise koji.GenericError(f"The rest of the file is longer than {LONGEST_PART} bytes: request it in parts")
    return encoded(contents)
