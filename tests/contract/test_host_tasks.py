# SPDX-License-Identifier: GPL-2.0-or-later
"""Actions of a builder on one task: open, set weight, free, close and fail."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.support import OPTIONS, SOURCE, as_fault, as_result, assert_refused
from tests.contract.tasks import TaskBench
from tests.contract.test_tasks import MISSING


def test_assignment_by_an_admin(bench: TaskBench, admin: Any, host: Any, host_name: str) -> None:
    task_id = bench.free_task()
    assert admin.assignTask(task_id, host_name) is True
    assert bench.state(task_id) == "ASSIGNED"
    (task,) = [task for task in host.host.getTasks() if task["id"] == task_id]
    assert set(task) == shapes.ASSIGNED_TASK
    assert (task["host_id"], task["method"], task["arch"]) == (host.host.getID(), "buildContainer", "noarch")
    assert koji.TASK_STATES[task["state"]] == "ASSIGNED"
    assert isinstance(task["create_ts"], float)


def test_tasks_come_by_priority(bench: TaskBench, admin: Any, host: Any, host_name: str) -> None:
    late = bench.remember(bench.packager.buildContainer(SOURCE, "x", OPTIONS, 7))
    first, second = bench.free_task(), bench.free_task()
    for task_id in (late, second, first):
        admin.assignTask(task_id, host_name)
    given = [task["id"] for task in host.host.getTasks()]
    assert [task_id for task_id in given if task_id in (late, first, second)] == [first, second, late]


def test_assignment_by_a_packager(bench: TaskBench, packager: Any, packager_name: str, host_name: str) -> None:
    with assert_refused(1004, f"admin permission required (logged in as {packager_name})"):
        packager.assignTask(bench.free_task(), host_name)


def test_assignment_of_an_open_task(bench: TaskBench, admin: Any, host_name: str) -> None:
    task_id = bench.open_task()
    assert admin.assignTask(task_id, host_name) is False
    assert bench.state(task_id) == "OPEN"


def test_opening_tells_all_of_the_task(bench: TaskBench, host: Any) -> None:
    opened = bench.give(bench.free_task("a-target"))
    assert set(opened) == shapes.TASK | {"request"}
    assert (opened["host_id"], koji.TASK_STATES[opened["state"]]) == (host.host.getID(), "OPEN")
    params, method = koji.xmlrpcplus.loads(opened["request"])
    assert (list(params), method) == ([SOURCE, "a-target", OPTIONS], "buildContainer")


def test_opening_a_free_task(bench: TaskBench, host: Any) -> None:
    task_id = bench.free_task()
    assert host.host.openTask(task_id)["id"] == task_id
    assert bench.state(task_id) == "OPEN"


def test_opening_twice(bench: TaskBench, host: Any) -> None:
    task_id = bench.open_task()
    assert host.host.openTask(task_id) is None
    assert bench.state(task_id) == "OPEN"


def test_opening_a_closed_task(bench: TaskBench, host: Any) -> None:
    assert host.host.openTask(bench.closed_task(1)) is None


def test_opening_a_missing_task(host: Any) -> None:
    with assert_refused(1000, "query returned no rows"):
        host.host.openTask(MISSING)


def test_open_tasks_of_the_host(bench: TaskBench, host: Any) -> None:
    task_id, closed = bench.open_task(), bench.closed_task(1)
    tasks = {task["id"]: task for task in host.host.getHostTasks()}
    assert tasks[task_id] == {"id": task_id, "waiting": None, "weight": 1.0}
    assert closed not in tasks


def test_weight(bench: TaskBench, host: Any) -> None:
    task_id = bench.open_task()
    assert host.host.setTaskWeight(task_id, 0.5) is None
    assert host.getTaskInfo(task_id)["weight"] == 0.5
    assert {task["id"]: task["weight"] for task in host.host.getHostTasks()}[task_id] == 0.5


def test_closing(bench: TaskBench, host: Any) -> None:
    task_id = bench.open_task()
    assert host.host.closeTask(task_id, as_result("done")) is None
    assert bench.state(task_id) == "CLOSED"


def test_closing_twice(bench: TaskBench, host: Any) -> None:
    task_id = bench.closed_task("done")
    with assert_refused(1004, f"host {host.host.getID()} does not own task {task_id}"):
        host.host.closeTask(task_id, as_result("again"))
    assert host.getTaskResult(task_id) == "done"


def test_closing_a_task_that_is_only_assigned(bench: TaskBench, admin: Any, host: Any, host_name: str) -> None:
    task_id = bench.free_task()
    admin.assignTask(task_id, host_name)
    with assert_refused(1004, f"host {host.host.getID()} does not own task {task_id}"):
        host.host.closeTask(task_id, as_result("done"))


def test_closing_a_missing_task(host: Any) -> None:
    with assert_refused(1000, f"No such task: {MISSING}"):
        host.host.closeTask(MISSING, as_result("done"))


def test_failing(bench: TaskBench, host: Any) -> None:
    task_id = bench.open_task()
    assert host.host.failTask(task_id, as_fault(1005, "boom")) is None
    assert bench.state(task_id) == "FAILED"


def test_freeing_open_tasks(bench: TaskBench, host: Any) -> None:
    first, second = bench.open_task(), bench.open_task()
    assert host.host.freeTasks([first, second]) is None
    for task_id in (first, second):
        info = host.getTaskInfo(task_id)
        assert (koji.TASK_STATES[info["state"]], info["host_id"]) == ("FREE", None)


def test_freeing_ended_tasks_does_nothing(bench: TaskBench, host: Any) -> None:
    task_id = bench.closed_task("done")
    assert host.host.freeTasks([task_id]) is None
    assert bench.state(task_id) == "CLOSED"


def test_freeing_by_an_admin(bench: TaskBench, admin: Any) -> None:
    task_id = bench.open_task()
    assert admin.freeTask(task_id) is None
    assert bench.state(task_id) == "FREE"


def test_freeing_a_canceled_task(bench: TaskBench, admin: Any) -> None:
    task_id = bench.canceled_task()
    with assert_refused(1000, f"Cannot free task {task_id}, state is CANCELED"):
        admin.freeTask(task_id)


@pytest.mark.parametrize("soft", [True, False])
def test_refusing_frees_the_task(bench: TaskBench, admin: Any, host: Any, host_name: str, soft: bool) -> None:
    task_id = bench.free_task()
    admin.assignTask(task_id, host_name)
    assert host.host.refuseTask(task_id, soft=soft, msg="no capacity") is None
    info = host.getTaskInfo(task_id)
    assert (koji.TASK_STATES[info["state"]], info["host_id"]) == ("FREE", None)


def test_refusing_a_missing_task(host: Any) -> None:
    with assert_refused(1000, "query returned no rows"):
        host.host.refuseTask(MISSING)
