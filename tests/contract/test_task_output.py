# SPDX-License-Identifier: GPL-2.0-or-later
"""Output files of a task, and reading a growing log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import koji
import pytest

from tests.contract.support import assert_refused
from tests.contract.tasks import TaskBench
from tests.contract.test_tasks import MISSING

CONTENT = b"0123456789" * 10


@pytest.fixture
def logged(bench: TaskBench, host: Any, tmp_path: Path) -> int:
    """An open task with a log of 100 bytes."""
    task_id = bench.open_task()
    (tmp_path / "x86_64.log").write_bytes(CONTENT)
    host.uploadWrapper(os.fspath(tmp_path / "x86_64.log"), koji.pathinfo.taskrelpath(task_id))
    return task_id


def test_names(logged: int, anonymous: Any) -> None:
    assert anonymous.listTaskOutput(logged) == ["x86_64.log"]


def test_stat(logged: int, anonymous: Any) -> None:
    (found,) = anonymous.listTaskOutput(logged, stat=True).items()
    name, stat = found
    assert name == "x86_64.log"
    assert set(stat) == {"st_atime", "st_ctime", "st_mtime", "st_size"}
    assert stat["st_size"] == "100"
    assert all(isinstance(stat[key], float) for key in ("st_atime", "st_ctime", "st_mtime"))


def test_volumes(logged: int, anonymous: Any) -> None:
    assert anonymous.listTaskOutput(logged, all_volumes=True) == {"x86_64.log": ["DEFAULT"]}


def test_stat_by_volume(logged: int, anonymous: Any) -> None:
    found = anonymous.listTaskOutput(logged, stat=True, all_volumes=True)
    assert {name: list(volumes) for name, volumes in found.items()} == {"x86_64.log": ["DEFAULT"]}
    assert found["x86_64.log"]["DEFAULT"]["st_size"] == "100"


def test_directory_in_the_output(logged: int, anonymous: Any, host: Any, tmp_path: Path) -> None:
    host.uploadWrapper(os.fspath(tmp_path / "x86_64.log"), koji.pathinfo.taskrelpath(logged) + "/logs")
    assert sorted(anonymous.listTaskOutput(logged)) == ["logs/x86_64.log", "x86_64.log"]
    assert anonymous.downloadTaskOutput(logged, "logs/x86_64.log") == CONTENT


@pytest.mark.parametrize(
    "options, empty", [({}, []), ({"stat": True}, {}), ({"all_volumes": True}, {}), ({"strict": True}, [])]
)
def test_no_output(bench: TaskBench, anonymous: Any, options: dict[str, bool], empty: Any) -> None:
    assert anonymous.listTaskOutput(bench.free_task(), **options) == empty


def test_missing_task(anonymous: Any) -> None:
    assert anonymous.listTaskOutput(MISSING) == []
    with assert_refused(1000, "Task doesn't exist"):
        anonymous.listTaskOutput(MISSING, strict=True)


@pytest.mark.parametrize(
    "offset, size, expected",
    [
        (0, -1, CONTENT),
        (0, 5, b"01234"),
        (90, -1, b"0123456789"),
        (90, 3, b"012"),
        (95, 500, b"56789"),
        (100, -1, b""),
        (500, 10, b""),
        (-5, -1, b"56789"),
        (-5, 2, b"56"),
        (0, 0, b""),
        ("90", "3", b"012"),
    ],
)
def test_a_part_of_a_file(logged: int, anonymous: Any, offset: Any, size: Any, expected: bytes) -> None:
    assert anonymous.downloadTaskOutput(logged, "x86_64.log", offset, size) == expected


def test_the_whole_file(logged: int, anonymous: Any) -> None:
    assert anonymous.downloadTaskOutput(logged, "x86_64.log") == CONTENT


def test_by_name_of_the_arguments(logged: int, anonymous: Any) -> None:
    assert anonymous.downloadTaskOutput(logged, fileName="x86_64.log", offset=97, size=2) == b"78"


def test_a_volume(logged: int, anonymous: Any) -> None:
    assert anonymous.downloadTaskOutput(logged, "x86_64.log", volume="DEFAULT") == CONTENT


def test_no_size(logged: int, anonymous: Any) -> None:
    with assert_refused(1019, "Invalid type, expected type <class 'int'>"):
        anonymous.downloadTaskOutput(logged, "x86_64.log", 0, None)


def test_missing_file(logged: int, anonymous: Any) -> None:
    with assert_refused(1000, f'no file "nothing.log" output by task {logged}'):
        anonymous.downloadTaskOutput(logged, "nothing.log")


def test_file_of_a_missing_task(anonymous: Any) -> None:
    with assert_refused(1000, f'no file "x86_64.log" output by task {MISSING}'):
        anonymous.downloadTaskOutput(MISSING, "x86_64.log")


@pytest.mark.parametrize("name", ["../x86_64.log", "logs/../x86_64.log", "..", "a..log"])
def test_path_out_of_the_directory(logged: int, anonymous: Any, name: str) -> None:
    with assert_refused(1000, f"Invalid file name: {name}"):
        anonymous.downloadTaskOutput(logged, name)


def test_a_log_is_read_while_it_grows(logged: int, anonymous: Any, host: Any) -> None:
    host.rawUpload(b"more\n", 100, koji.pathinfo.taskrelpath(logged), "x86_64.log", overwrite=True)
    assert anonymous.downloadTaskOutput(logged, "x86_64.log", 100) == b"more\n"
    assert anonymous.listTaskOutput(logged, stat=True)["x86_64.log"]["st_size"] == "105"


def test_the_output_stays_when_the_task_ends(logged: int, bench: TaskBench, anonymous: Any, packager: Any) -> None:
    packager.cancelTask(logged)
    assert anonymous.downloadTaskOutput(logged, "x86_64.log", 98) == b"89"
