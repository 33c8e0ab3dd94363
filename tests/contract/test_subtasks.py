# SPDX-License-Identifier: GPL-2.0-or-later
"""Tasks that create subtasks and wait for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.support import as_fault, as_result, assert_refused
from tests.contract.tasks import TaskBench
from tests.contract.test_tasks import MISSING


def waiting(bench: TaskBench, task_id: int) -> dict[str, Any]:
    """Return the task from the builder's task list."""
    (task,) = [task for task in bench.host.host.getHostTasks() if task["id"] == task_id]
    assert isinstance(task, dict)
    return task


@pytest.fixture
def parent(bench: TaskBench) -> int:
    return bench.open_task()


def test_subtask(bench: TaskBench, parent: int, host: Any) -> None:
    child = host.host.subtask("createContainer", [{"a": 1}], parent, label="x86_64", arch="x86_64")
    info, above = host.getTaskInfo(child, request=True), host.getTaskInfo(parent)
    assert (info["method"], info["request"], info["arch"]) == ("createContainer", [{"a": 1}], "x86_64")
    assert (info["parent"], info["label"], info["awaited"]) == (parent, "x86_64", None)
    assert (info["owner"], info["channel_id"]) == (above["owner"], above["channel_id"])
    assert info["priority"] == above["priority"] - 1


def test_subtask_takes_after_its_parent(bench: TaskBench, parent: int, host: Any) -> None:
    info = host.getTaskInfo(host.host.subtask("createContainer", [], parent))
    assert (info["arch"], info["label"], info["weight"]) == ("noarch", None, 1.0)


def test_subtask_with_another_priority(parent: int, host: Any) -> None:
    child = host.host.subtask("createContainer", [], parent, priority=33)
    assert host.getTaskInfo(child)["priority"] == 33


def test_subtask_of_the_same_label_is_the_same(parent: int, host: Any) -> None:
    first = host.host.subtask("createContainer", [1], parent, label="x86_64")
    assert host.host.subtask("createContainer", [2], parent, label="x86_64") == first
    assert host.host.subtask("createContainer", [3], parent, label="aarch64") != first


def test_subtask_without_labels_are_different(parent: int, host: Any) -> None:
    assert host.host.subtask("createContainer", [], parent) != host.host.subtask("createContainer", [], parent)


@pytest.mark.since("1.35")
def test_subtask_with_an_owner(parent: int, host: Any) -> None:
    with assert_refused(1004, "The owner option is not allowed here"):
        host.host.subtask("createContainer", [], parent, owner=1)


def test_subtask_of_a_closed_task(bench: TaskBench, host: Any) -> None:
    closed = bench.closed_task(1)
    with assert_refused(1004, f"host {host.host.getID()} does not own task {closed}"):
        host.host.subtask("createContainer", [], closed)


def test_subtask_of_a_missing_task(host: Any) -> None:
    with assert_refused(1000, f"No such task: {MISSING}"):
        host.host.subtask("createContainer", [], MISSING)


def test_subtask2_takes_arguments_by_name(parent: int, host: Any) -> None:
    child = host.host.subtask2(parent, {"label": "x86_64", "arch": "x86_64"}, "createContainer", "one", two=2)
    info = host.getTaskInfo(child, request=True)
    assert info["request"] == ["one", {"two": 2, "__starstar": True}]
    assert (info["label"], info["arch"], info["parent"]) == ("x86_64", "x86_64", parent)


def test_waiting_marks_both(bench: TaskBench, parent: int, host: Any) -> None:
    first, second = bench.child(parent, "first"), bench.child(parent, "second")
    assert host.host.taskSetWait(parent, [first]) is None
    assert host.getTaskInfo(parent)["waiting"] is True
    assert [host.getTaskInfo(task)["awaited"] for task in (first, second)] == [True, None]
    assert waiting(bench, parent) == {"id": parent, "waiting": True, "weight": 1.0}


def test_waiting_for_all(bench: TaskBench, parent: int, host: Any) -> None:
    first, second = bench.child(parent, "first"), bench.child(parent, "second")
    host.host.taskSetWait(parent, None)
    assert [host.getTaskInfo(task)["awaited"] for task in (first, second)] == [True, True]


def test_waiting_for_others_instead(bench: TaskBench, parent: int, host: Any) -> None:
    first, second = bench.child(parent, "first"), bench.child(parent, "second")
    host.host.taskSetWait(parent, [first])
    host.host.taskSetWait(parent, [second])
    assert [host.getTaskInfo(task)["awaited"] for task in (first, second)] == [False, True]


def test_nothing_has_ended(bench: TaskBench, parent: int, host: Any) -> None:
    first, second = bench.child(parent, "first"), bench.child(parent, "second")
    host.host.taskSetWait(parent, [first, second])
    finished, unfinished = host.host.taskWait(parent)
    assert (finished, sorted(unfinished)) == ([], [first, second])


def test_a_child_that_ends_alerts_its_parent_once(bench: TaskBench, parent: int, host: Any) -> None:
    first, second = bench.child(parent, "first"), bench.child(parent, "second")
    host.host.taskSetWait(parent, [first, second])
    bench.give(first)
    assert "alert" not in waiting(bench, parent)
    host.host.closeTask(first, as_result("done"))
    assert waiting(bench, parent) == {"id": parent, "waiting": True, "weight": 1.0, "alert": True}
    assert host.host.taskWait(parent) == [[first], [second]]
    assert "alert" not in waiting(bench, parent)
    assert host.host.taskWait(parent) == [[], [second]]


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_child_that_ends_badly_alerts_too(bench: TaskBench, parent: int, host: Any, end: str) -> None:
    child = bench.child(parent)
    host.host.taskSetWait(parent, [child])
    bench.give(child)
    if end == "fail":
        host.host.failTask(child, as_fault(1005, "boom"))
    else:
        bench.packager.cancelTask(child)
    assert waiting(bench, parent)["alert"] is True
    assert host.host.taskWait(parent) == [[child], []]


def test_a_child_that_is_not_awaited_does_not_alert(bench: TaskBench, parent: int, host: Any) -> None:
    first, second = bench.child(parent, "first"), bench.child(parent, "second")
    host.host.taskSetWait(parent, [first])
    bench.give(second)
    host.host.closeTask(second, as_result("done"))
    assert "alert" not in waiting(bench, parent)


def test_results_are_pairs(bench: TaskBench, parent: int, host: Any) -> None:
    first, second = bench.child(parent, "first"), bench.child(parent, "second")
    host.host.taskSetWait(parent, [first, second])
    for task_id, result in ((first, {"digest": "sha256:1"}), (second, [1, None])):
        bench.give(task_id)
        host.host.closeTask(task_id, as_result(result))
    results = host.host.taskWaitResults(parent, [second, first])
    assert results == [[second, [1, None]], [first, {"digest": "sha256:1"}]]


def test_results_end_the_wait(bench: TaskBench, parent: int, host: Any) -> None:
    child = bench.child(parent)
    host.host.taskSetWait(parent, [child])
    bench.give(child)
    host.host.closeTask(child, as_result("done"))
    host.host.taskWaitResults(parent, [child])
    assert waiting(bench, parent) == {"id": parent, "waiting": False, "weight": 1.0}
    assert host.getTaskInfo(child)["awaited"] is False


def test_results_of_all_that_ended(bench: TaskBench, parent: int, host: Any) -> None:
    first = bench.child(parent, "first")
    bench.child(parent, "second")
    bench.give(first)
    host.host.closeTask(first, as_result("done"))
    assert host.host.taskWaitResults(parent, None) == [[first, "done"]]


def test_results_of_a_child_that_failed(bench: TaskBench, parent: int, host: Any) -> None:
    child = bench.child(parent)
    bench.give(child)
    host.host.failTask(child, as_fault(1005, "boom"))
    with assert_refused(1005, "boom"):
        host.host.taskWaitResults(parent, [child])
    fault = {"faultCode": 1005, "faultString": "boom"}
    assert host.host.taskWaitResults(parent, [child], canfail=[child]) == [[child, fault]]


def test_results_of_a_child_that_was_canceled(bench: TaskBench, parent: int, host: Any) -> None:
    child = bench.child(parent)
    bench.packager.cancelTask(child)
    with assert_refused(1000, f"Task {child} is canceled"):
        host.host.taskWaitResults(parent, [child])
    fault = {"faultCode": 1000, "faultString": f"Task {child} is canceled"}
    assert host.host.taskWaitResults(parent, [child], canfail=[child]) == [[child, fault]]


@pytest.mark.parametrize("may_fail", [True, False])
def test_results_of_a_child_that_has_not_ended(bench: TaskBench, parent: int, host: Any, may_fail: bool) -> None:
    child = bench.child(parent)
    with assert_refused(1000, f"Task {child} is not finished"):
        host.host.taskWaitResults(parent, [child], canfail=[child] if may_fail else [])
