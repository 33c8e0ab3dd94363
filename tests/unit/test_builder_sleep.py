# SPDX-License-Identifier: GPL-2.0-or-later
"""How a builder of the box waits between two polls for tasks."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.box.builder import rest
from fedpkg_container.box.wake import FIFO, clear, wake, waking
from tests.support.hub_application import hub_application
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs


@pytest.fixture
def woken(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "builder-1").mkdir()
    with waking(tmp_path / "builder-1") as descriptor:
        yield descriptor


def test_it_is_woken_by_the_hub(woken: int, tmp_path: Path) -> None:
    for full in (False, True):
        if full:
            with pytest.raises(BlockingIOError):
                while True:
                    os.write(woken, bytes(4096))
        wake(tmp_path)
        began = time.monotonic()
        rest([], woken, 2 * PATIENCE)
        assert time.monotonic() - began < PATIENCE
        clear(woken)
        began = time.monotonic()
        rest([], woken, 0.1)
        assert time.monotonic() - began >= 0.1


def test_another_file_in_place_of_the_fifo_is_replaced(tmp_path: Path) -> None:
    """A regular file would always be readable: the builder would never sleep."""
    (tmp_path / FIFO).write_text("restored from a copy")
    with waking(tmp_path) as descriptor:
        assert select.select([descriptor], [], [], 0)[0] == []


def test_builders_that_are_not_running_are_not_woken(tmp_path: Path) -> None:
    for name in ("builder-1", "builder-2"):
        (tmp_path / name).mkdir()
        with waking(tmp_path / name):
            pass
    wake(tmp_path)
    with waking(tmp_path / "builder-2") as second:
        began = time.monotonic()
        rest([], second, 0.1)
        assert time.monotonic() - began >= 0.1
        wake(tmp_path)
        assert os.read(second, 10) == b"\n"


def test_it_is_woken_by_the_end_of_a_task(woken: int) -> None:
    with subprocess.Popen(["sleep", "0.2"]) as process:
        began = time.monotonic()
        rest([process.pid], woken, 2 * PATIENCE)
        assert time.monotonic() - began < PATIENCE
        assert process.poll() == 0


def test_processes_that_were_waited_for_do_not_wake_it(woken: int) -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    began = time.monotonic()
    rest([process.pid], woken, 0.3)
    assert time.monotonic() - began >= 0.3


def test_it_leaves_no_file_open(woken: int) -> None:
    before = os.listdir("/proc/self/fd")
    with subprocess.Popen(["sleep", "0.1"]) as process:
        rest([process.pid], woken, PATIENCE)
    assert os.listdir("/proc/self/fd") == before


def test_changes_of_tasks_wake_the_builders(tmp_path: Path) -> None:
    with hub_application(tmp_path) as hub, waking(tmp_path / "builders/builder") as woken:
        made = hub.call("admin", "newRepo", "rawhide-build")
        child = hub.call("builder", "host.subtask", "newRepo", ["rawhide-build"], hub.task_id)
        clear(woken)
        changes: list[tuple[Any, ...]] = [
            ("admin", "newRepo", "rawhide-build"),
            ("admin", "assignTask", made, "builder"),
            ("admin", "freeTask", made),
            ("admin", "cancelTask", made),
            ("builder", "host.subtask", "newRepo", ["rawhide-build"], hub.task_id),
            ("builder", "host.taskSetWait", hub.task_id, [child]),
            ("builder", "host.freeTasks", [hub.task_id]),
        ]
        for change in changes:
            hub.call(*change)
            assert select.select([woken], [], [], 0)[0], change
            clear(woken)
        polls: list[tuple[Any, ...]] = [("builder", "host.updateHost", 1.0, True), ("builder", "host.getTasks")]
        for poll in polls:
            hub.call(*poll)
            assert not select.select([woken], [], [], 0)[0], poll
