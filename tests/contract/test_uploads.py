# SPDX-License-Identifier: GPL-2.0-or-later
"""Uploads by both methods of the client: as data of a call, and as a raw HTTP body."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import zlib
from pathlib import Path
from typing import Any

import koji
import koji.daemon
import pytest

from tests.contract.support import Connect, HubAccess, assert_refused, new_name
from tests.contract.tasks import TaskBench


def upload_file(session: Any, path: str, name: str, offset: int, data: bytes, **changes: Any) -> Any:
    """Call uploadFile like koji.daemon.incremental_upload."""
    checksum = ("sha256", hashlib.sha256(changes.pop("sum_of", data)).hexdigest())
    size = changes.pop("size", len(data))
    return session.uploadFile(path, name, size, checksum, offset, base64.b64encode(data).decode())


def adler32(data: bytes) -> str:
    return f"{zlib.adler32(data):08x}"


@pytest.fixture
def task_id(bench: TaskBench) -> int:
    return bench.open_task()


@pytest.fixture
def path(task_id: int) -> str:
    """Output directory of an open task."""
    found: str = koji.pathinfo.taskrelpath(task_id)
    return found


def test_directory_of_a_task(path: str, task_id: int) -> None:
    assert path == f"tasks/{task_id % 10000}/{task_id}"


def test_raw_upload_tells_what_arrived(host: Any, path: str) -> None:
    answer = host.rawUpload(b"abc", 0, path, "raw.bin")
    assert answer == {"size": 3, "fileverify": "adler32", "offset": 0, "hexdigest": adler32(b"abc")}


def test_raw_upload_in_pieces(host: Any, path: str, task_id: int) -> None:
    host.rawUpload(b"abc", 0, path, "raw.bin")
    answer = host.rawUpload(b"def", 3, path, "raw.bin")
    assert (answer["offset"], answer["hexdigest"]) == (3, adler32(b"def"))
    assert host.downloadTaskOutput(task_id, "raw.bin") == b"abcdef"


def test_raw_upload_over_a_file(host: Any, path: str) -> None:
    host.rawUpload(b"abc", 0, path, "raw.log")
    with assert_refused(1000, re.compile(r"^upload path exists: .*raw\.log$")):
        host.rawUpload(b"abc", 0, path, "raw.log")


def test_raw_upload_over_a_file_truncates_it(host: Any, path: str, task_id: int) -> None:
    host.rawUpload(b"abcdef", 0, path, "raw.bin")
    host.rawUpload(b"X", 3, path, "raw.bin", overwrite=True)
    assert host.downloadTaskOutput(task_id, "raw.bin") == b"abcX"


def test_raw_upload_behind_the_end_leaves_a_gap(host: Any, path: str, task_id: int) -> None:
    host.rawUpload(b"a", 0, path, "raw.bin")
    host.rawUpload(b"b", 3, path, "raw.bin")
    assert host.downloadTaskOutput(task_id, "raw.bin") == b"a\0\0b"


@pytest.mark.since("1.36")
def test_raw_upload_within_a_file_without_overwriting(host: Any, path: str) -> None:
    host.rawUpload(b"abcdef", 0, path, "raw.bin")
    with assert_refused(1000, re.compile(r"^Incorrect upload length for .*raw\.bin - Expected 4, actual 6$")):
        host.rawUpload(b"X", 3, path, "raw.bin")


def test_raw_upload_at_the_end(host: Any, path: str, task_id: int) -> None:
    host.rawUpload(b"abc", 0, path, "raw.bin")
    assert host.rawUpload(b"def", -1, path, "raw.bin")["offset"] == 3
    assert host.downloadTaskOutput(task_id, "raw.bin") == b"abcdef"


def test_raw_upload_with_another_checksum(host: Any, path: str) -> None:
    answer = host.rawUpload(b"abc", 0, path, "raw.bin", verify="sha256")
    assert (answer["fileverify"], answer["hexdigest"]) == ("sha256", hashlib.sha256(b"abc").hexdigest())


def test_upload_file(host: Any, path: str, task_id: int) -> None:
    assert upload_file(host, path, "a.log", 0, b"abc") is True
    assert upload_file(host, path, "a.log", 3, b"def") is True
    assert host.downloadTaskOutput(task_id, "a.log") == b"abcdef"


@pytest.mark.parametrize("wrong", [{"size": 1}, {"sum_of": b"else"}])
def test_upload_file_that_was_damaged(host: Any, path: str, task_id: int, wrong: dict[str, Any]) -> None:
    upload_file(host, path, "a.log", 0, b"abc")
    assert upload_file(host, path, "a.log", 3, b"def", **wrong) is False
    assert host.downloadTaskOutput(task_id, "a.log") == b"abc"


def test_upload_file_starts_a_log_again(host: Any, path: str, task_id: int) -> None:
    upload_file(host, path, "a.log", 0, b"abcdef")
    assert upload_file(host, path, "a.log", 0, b"X") is True
    assert host.downloadTaskOutput(task_id, "a.log") == b"X"


def test_upload_file_starts_nothing_else_again(host: Any, path: str) -> None:
    upload_file(host, path, "a.bin", 0, b"abcdef")
    with assert_refused(1000, re.compile(r"^file already exists: .*a\.bin$")):
        upload_file(host, path, "a.bin", 0, b"X")


@pytest.mark.parametrize("fast", [True, False])
def test_the_daemon_follows_a_log(host: Any, path: str, task_id: int, fast: bool) -> None:
    host.opts["use_fast_upload"], before = fast, host.opts.get("use_fast_upload")
    log = io.BytesIO(b"first\n")
    koji.daemon.incremental_upload(host, "build.log", log, path)
    position = log.tell()
    log.write(b"second\n")
    log.seek(position)
    koji.daemon.incremental_upload(host, "build.log", log, path)
    host.opts["use_fast_upload"] = before
    assert host.downloadTaskOutput(task_id, "build.log") == b"first\nsecond\n"


@pytest.mark.parametrize("blocksize", [7, 1048576])
def test_upload_wrapper(packager: Any, tmp_path: Path, blocksize: int) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    directory = new_name("upload")
    packager.uploadWrapper(os.fspath(tmp_path / "a.bin"), directory, blocksize=blocksize)
    found = packager.checkUpload(directory, "a.bin", verify="sha256")
    assert found["hexdigest"] == hashlib.sha256(bytes(range(256))).hexdigest()


def test_upload_wrapper_of_an_empty_file(packager: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    directory = new_name("upload")
    packager.uploadWrapper(os.fspath(tmp_path / "empty"), directory)
    assert packager.checkUpload(directory, "empty")["size"] == 0


def test_check(packager: Any) -> None:
    directory = new_name("upload")
    packager.rawUpload(b"abcdef", 0, directory, "a.bin")
    found = packager.checkUpload(directory, "a.bin")
    assert set(found) == {"size", "mtime"}
    assert found["size"] == 6
    assert isinstance(found["mtime"], float)


@pytest.mark.parametrize("verify", ["md5", "sha256", "adler32"])
def test_check_of_the_content(packager: Any, verify: str) -> None:
    directory = new_name("upload")
    answer = packager.rawUpload(b"abcdef", 0, directory, "a.bin", verify=verify)
    found = packager.checkUpload(directory, "a.bin", verify=verify)
    assert set(found) == {"size", "mtime", "sumlength", "hexdigest"}
    assert (found["sumlength"], found["hexdigest"]) == (6, answer["hexdigest"])


def test_check_of_the_tail(packager: Any) -> None:
    directory = new_name("upload")
    packager.rawUpload(b"abcdef", 0, directory, "a.bin")
    found = packager.checkUpload(directory, "a.bin", verify="md5", tail=2)
    assert (found["size"], found["sumlength"]) == (6, 2)
    assert found["hexdigest"] == hashlib.md5(b"ef").hexdigest()


def test_check_of_a_missing_file(packager: Any) -> None:
    assert packager.checkUpload(new_name("upload"), "a.bin") is None


def test_check_with_an_unknown_checksum(packager: Any) -> None:
    directory = new_name("upload")
    packager.rawUpload(b"a", 0, directory, "a.bin")
    with assert_refused(1000, "Unsupported verify type: crc"):
        packager.checkUpload(directory, "a.bin", verify="crc")


@pytest.mark.parametrize("name", ["../a", "a/b", ".hidden"])
def test_bad_names(packager: Any, name: str) -> None:
    directory = new_name("upload")
    with assert_refused(1000, f"Invalid upload filename: {name}"):
        upload_file(packager, directory, name, 0, b"a")
    with assert_refused(1000, f"Invalid upload filename: {name}"):
        packager.rawUpload(b"a", 0, directory, name)


@pytest.mark.parametrize("directory", ["../x", "x/../../y", ".."])
def test_invalid_directories(packager: Any, directory: str) -> None:
    with assert_refused(1000, f"Invalid upload directory: {directory}"):
        upload_file(packager, directory, "a", 0, b"a")
    with assert_refused(1000, f"Invalid upload directory: {directory}"):
        packager.rawUpload(b"a", 0, directory, "a")


def test_directory_belongs_to_its_first_user(packager: Any, admin: Any) -> None:
    directory = new_name("upload")
    packager.rawUpload(b"a", 0, directory, "a")
    with assert_refused(1000, f"Invalid upload directory, not owner: {directory}"):
        admin.rawUpload(b"b", 0, directory, "b")


def test_subdirectory_belongs_to_its_first_user(packager: Any, host: Any, admin: Any) -> None:
    directory = new_name("upload")
    packager.rawUpload(b"a", 0, directory, "a")
    host.rawUpload(b"b", 0, f"{directory}/x86_64", "b")
    for session in (packager, admin):
        with assert_refused(1000, f"Invalid upload directory, not owner: {directory}/x86_64"):
            session.rawUpload(b"c", 0, f"{directory}/x86_64", "c")
    with assert_refused(1000, f"Invalid upload directory, not owner: {directory}"):
        host.rawUpload(b"c", 0, directory, "c")


def test_any_user_may_create_a_subdirectory(packager: Any, admin: Any) -> None:
    directory = new_name("upload")
    packager.rawUpload(b"a", 0, directory, "a")
    admin.rawUpload(b"x", 0, f"{directory}/b", "x")
    with assert_refused(1000, re.compile(r"^destination not a file: .*/b$")):
        packager.rawUpload(b"b", 0, directory, "b")
    with assert_refused(1, re.compile(f"{directory}/a")):
        admin.rawUpload(b"x", 0, f"{directory}/a", "x")


def test_without_a_login(anonymous: Any) -> None:
    with assert_refused(1004, "you must be logged in for this operation"):
        upload_file(anonymous, new_name("upload"), "a", 0, b"a")


def test_raw_upload_with_a_wrong_key(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    right = session.sinfo
    session.sinfo = {**right, "session-key": "1-wrong"}
    with assert_refused(1002, "Invalid session or bad credentials"):
        session.rawUpload(b"a", 0, new_name("upload"), "a")
    session.sinfo = right


def test_into_a_task_by_its_owner(packager: Any, path: str) -> None:
    with assert_refused(1002, f"User {packager.getLoggedInUser()['id']} is not a host"):
        packager.rawUpload(b"a", 0, path, "a.log")


def test_into_a_task_that_is_not_open(bench: TaskBench, host: Any) -> None:
    closed = bench.closed_task(1)
    with assert_refused(1004, f"host {host.host.getID()} does not own task {closed}"):
        host.rawUpload(b"a", 0, koji.pathinfo.taskrelpath(closed), "a.log")


def test_into_a_task_that_was_canceled(bench: TaskBench, host: Any, path: str, task_id: int) -> None:
    bench.packager.cancelTask(task_id)
    with assert_refused(1004, f"host {host.host.getID()} does not own task {task_id}"):
        upload_file(host, path, "a.log", 0, b"a")


@pytest.mark.parametrize("directory", ["tasks/1", "tasks/1/x"])
def test_into_no_task(host: Any, directory: str) -> None:
    with assert_refused(1000, f"Invalid task upload directory: {directory}"):
        host.rawUpload(b"a", 0, directory, "a.log")
