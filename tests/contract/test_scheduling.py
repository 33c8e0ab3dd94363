# SPDX-License-Identifier: GPL-2.0-or-later
"""Assignment of free tasks to a builder that checks in as ready."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.contract.support import OPTIONS, SOURCE
from tests.contract.tasks import TaskBench

#: A hub hands tasks out at a separate interval, one minute by default.
SCHEDULER_DEADLINE = 150

pytestmark = pytest.mark.timeout(2 * SCHEDULER_DEADLINE)


def given_until(host: Any, awaited: int) -> list[int]:
    """Check in as ready until a task is assigned to the host; return all assigned tasks in order."""
    deadline = time.monotonic() + SCHEDULER_DEADLINE
    given: list[int] = []
    try:
        while awaited not in given:
            assert time.monotonic() < deadline, f"task {awaited} was not given to the host: {given}"
            host.host.updateHost(0.0, True, data={"maxjobs": 5})
            new = [task["id"] for task in host.host.getTasks() if task["id"] not in given]
            given.extend(new)
            # Until a host has taken or assert_refused what it was given, a hub gives it nothing more.
            for task_id in new:
                if task_id != awaited:
                    host.host.refuseTask(task_id, soft=False, msg="not what the test waits for")
            time.sleep(0.1)
    finally:
        host.host.updateHost(0.0, False)
    return given


def urgent_task(bench: TaskBench) -> int:
    """A task with a higher priority than others."""
    return bench.remember(bench.admin.buildContainer(SOURCE, "no-target", OPTIONS, -15))


def test_a_free_task_of_its_channel(bench: TaskBench, host: Any) -> None:
    task_id = urgent_task(bench)
    given_until(host, task_id)
    assert bench.state(task_id) == "ASSIGNED"
    assert host.getTaskInfo(task_id)["host_id"] == host.host.getID()
    assert host.host.openTask(task_id)["id"] == task_id


def test_not_what_it_refused(bench: TaskBench, host: Any) -> None:
    refused_task = urgent_task(bench)
    given_until(host, refused_task)
    host.host.refuseTask(refused_task, soft=False, msg="cannot")
    assert refused_task not in given_until(host, urgent_task(bench))
    assert bench.state(refused_task) == "FREE"


def test_not_what_is_for_another_arch(bench: TaskBench, host: Any) -> None:
    parent = urgent_task(bench)
    bench.give(parent)
    foreign = bench.child(parent, "s390x", arch="s390x", priority=1)
    native = bench.child(parent, "x86_64", arch="x86_64", priority=2)
    assert foreign not in given_until(host, native)
    assert bench.state(foreign) == "FREE"


def test_arches_are_compared_as_they_are_written(bench: TaskBench, admin: Any, host: Any, host_name: str) -> None:
    before = admin.getHost(host_name)["arches"]
    parent = urgent_task(bench)
    bench.give(parent)
    smaller = bench.child(parent, "i386", arch="i386", priority=1)
    native = bench.child(parent, "x86_64", arch="x86_64", priority=2)
    try:
        admin.editHost(host_name, arches=f"{before} i686")
        assert smaller not in given_until(host, native)
        admin.editHost(host_name, arches=f"{before} i386")
        given_until(host, smaller)
        assert bench.state(smaller) == "ASSIGNED"
    finally:
        admin.editHost(host_name, arches=before)


def test_nothing_while_it_is_not_ready(bench: TaskBench, host: Any, host_name: str) -> None:
    free, assigned = urgent_task(bench), bench.free_task()
    bench.admin.assignTask(assigned, host_name)
    host.host.updateHost(0.0, False)
    given = [task["id"] for _ in range(3) for task in host.host.getTasks()]
    assert assigned in given
    assert free not in given
