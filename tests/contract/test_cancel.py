# SPDX-License-Identifier: GPL-2.0-or-later
"""Canceling tasks: permissions, descendants and repetition."""

from __future__ import annotations

from typing import Any

import koji

from tests.contract.support import OPTIONS, SOURCE, as_result, assert_refused
from tests.contract.tasks import TaskBench
from tests.contract.test_tasks import MISSING


def test_by_the_owner(bench: TaskBench, packager: Any) -> None:
    task_id = bench.free_task()
    assert packager.cancelTask(task_id) is None
    info = packager.getTaskInfo(task_id)
    assert koji.TASK_STATES[info["state"]] == "CANCELED"
    assert info["completion_ts"] >= info["create_ts"]


def test_again(bench: TaskBench, packager: Any) -> None:
    task_id = bench.canceled_task()
    before = packager.getTaskInfo(task_id)
    assert packager.cancelTask(task_id) is None
    assert packager.getTaskInfo(task_id) == before


def test_a_closed_task_stays_closed(bench: TaskBench, packager: Any) -> None:
    task_id = bench.closed_task("done")
    assert packager.cancelTask(task_id) is None
    assert bench.state(task_id) == "CLOSED"


def test_a_failed_task_stays_failed(bench: TaskBench, packager: Any) -> None:
    task_id = bench.failed_task(1005, "boom")
    assert packager.cancelTask(task_id) is None
    assert bench.state(task_id) == "FAILED"


def test_the_children_go_too(bench: TaskBench, packager: Any) -> None:
    parent = bench.open_task()
    child = bench.child(parent)
    bench.give(child)
    grandchild = bench.child(child)
    packager.cancelTask(parent)
    assert [bench.state(task) for task in (parent, child, grandchild)] == ["CANCELED"] * 3


def test_a_closed_child_stays_closed(bench: TaskBench, packager: Any, host: Any) -> None:
    parent = bench.open_task()
    child = bench.child(parent)
    bench.give(child)
    host.host.closeTask(child, as_result("done"))
    packager.cancelTask(parent)
    assert [bench.state(task) for task in (parent, child)] == ["CANCELED", "CLOSED"]


def test_without_the_children(bench: TaskBench, packager: Any) -> None:
    parent = bench.open_task()
    child = bench.child(parent)
    packager.cancelTask(parent, recurse=False)
    assert bench.state(parent) == "CANCELED"
    assert bench.state(child) in ("FREE", "ASSIGNED")


def test_the_children_alone(bench: TaskBench, packager: Any) -> None:
    parent = bench.open_task()
    child = bench.child(parent)
    assert packager.cancelTaskChildren(parent) is None
    assert [bench.state(task) for task in (parent, child)] == ["OPEN", "CANCELED"]


def test_the_children_by_the_builder(bench: TaskBench, host: Any) -> None:
    parent = bench.open_task()
    child = bench.child(parent)
    host.cancelTaskChildren(parent)
    assert [bench.state(task) for task in (parent, child)] == ["OPEN", "CANCELED"]


def test_by_an_admin(bench: TaskBench, admin: Any) -> None:
    task_id = bench.free_task()
    assert admin.cancelTask(task_id) is None
    assert bench.state(task_id) == "CANCELED"


def test_by_the_builder_that_has_it_open(bench: TaskBench, host: Any) -> None:
    task_id = bench.open_task()
    assert host.cancelTask(task_id) is None
    assert bench.state(task_id) == "CANCELED"


def test_by_a_builder_that_has_not(bench: TaskBench, host: Any) -> None:
    task_id = bench.free_task()
    with assert_refused(1004, "Cannot cancel task, not owner"):
        host.cancelTask(task_id)


def test_by_somebody_else(bench: TaskBench, admin: Any, packager: Any) -> None:
    task_id = bench.remember(admin.buildContainer(SOURCE, "no-target", OPTIONS))
    with assert_refused(1004, "Cannot cancel task, not owner"):
        packager.cancelTask(task_id)
    assert bench.state(task_id) in ("FREE", "ASSIGNED")


def test_without_login(bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.free_task()
    with assert_refused(1004, "Cannot cancel task, not owner"):
        anonymous.cancelTask(task_id)


def test_the_children_by_nobody(bench: TaskBench, anonymous: Any) -> None:
    with assert_refused(1004, "you must be logged in for this operation"):
        anonymous.cancelTaskChildren(bench.free_task())


def test_a_missing_task(packager: Any) -> None:
    with assert_refused(1000, f"No such task: {MISSING}"):
        packager.cancelTask(MISSING)


def test_a_canceled_task_cannot_be_closed(bench: TaskBench, packager: Any, host: Any) -> None:
    task_id = bench.open_task()
    packager.cancelTask(task_id)
    with assert_refused(1004, f"host {host.host.getID()} does not own task {task_id}"):
        host.host.closeTask(task_id, as_result("done"))
    assert bench.state(task_id) == "CANCELED"


def test_a_canceled_task_cannot_be_opened(bench: TaskBench, host: Any) -> None:
    assert host.host.openTask(bench.canceled_task()) is None


def test_a_canceled_task_leaves_the_list_of_the_builder(bench: TaskBench, packager: Any, host: Any) -> None:
    task_id = bench.open_task()
    assert task_id in [task["id"] for task in host.host.getHostTasks()]
    packager.cancelTask(task_id)
    assert task_id not in [task["id"] for task in host.host.getHostTasks()]
