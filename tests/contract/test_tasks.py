# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries of tasks, their children and descendants."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.support import OPTIONS, SOURCE, assert_refused
from tests.contract.tasks import TaskBench

#: No hub has made so many tasks.
MISSING = 2**31 - 2


def test_a_new_task(bench: TaskBench, anonymous: Any) -> None:
    info = anonymous.getTaskInfo(bench.free_task())
    assert set(info) == shapes.TASK
    assert koji.TASK_STATES[info["state"]] in ("FREE", "ASSIGNED")
    assert (info["method"], info["arch"], info["priority"], info["weight"]) == (
        "buildContainer",
        "noarch",
        20,
        1.0,
    )
    assert (info["parent"], info["label"], info["awaited"], info["waiting"]) == (None, None, None, None)
    assert (info["start_time"], info["start_ts"]) == (None, None)
    assert (info["completion_time"], info["completion_ts"]) == (None, None)


def test_times_are_strings_and_timestamps(bench: TaskBench, anonymous: Any) -> None:
    info = anonymous.getTaskInfo(bench.free_task())
    assert isinstance(info["create_ts"], float)
    parsed = koji.util.parseTime(info["create_time"])
    assert parsed == int(info["create_ts"])
    assert info["create_time"].endswith("+00:00")


def test_owner_and_channel(bench: TaskBench, packager: Any) -> None:
    info = packager.getTaskInfo(bench.free_task())
    assert info["owner"] == packager.getLoggedInUser()["id"]
    assert info["channel_id"] == packager.getChannel("container-binary")["id"]


def test_request_comes_when_asked_for(bench: TaskBench, anonymous: Any) -> None:
    info = anonymous.getTaskInfo(bench.free_task("a-target"), request=True)
    assert set(info) == shapes.TASK | {"request"}
    assert info["request"] == [SOURCE, "a-target", OPTIONS]


def test_request_alone(bench: TaskBench, anonymous: Any) -> None:
    assert anonymous.getTaskRequest(bench.free_task("a-target")) == [SOURCE, "a-target", OPTIONS]


def test_request_of_a_missing_task(anonymous: Any) -> None:
    with assert_refused(1000, "query returned no rows"):
        anonymous.getTaskRequest(MISSING)


def test_missing_task(anonymous: Any) -> None:
    assert anonymous.getTaskInfo(MISSING) is None
    assert anonymous.getTaskInfo(MISSING, request=True) is None


def test_missing_task_when_strict(anonymous: Any) -> None:
    with assert_refused(1000, "query returned no rows"):
        anonymous.getTaskInfo(MISSING, strict=True)


def test_missing_tasks_in_a_list_are_none(bench: TaskBench, anonymous: Any) -> None:
    first, second = bench.free_task(), bench.free_task()
    infos = anonymous.getTaskInfo([second, MISSING, first])
    assert [info and info["id"] for info in infos] == [second, None, first]


def test_no_task_at_all(anonymous: Any) -> None:
    with assert_refused(1019, "Invalid type, expected type <class 'int'>"):
        anonymous.getTaskInfo(None)


def test_an_open_task(bench: TaskBench, anonymous: Any, host: Any) -> None:
    info = anonymous.getTaskInfo(bench.open_task())
    assert koji.TASK_STATES[info["state"]] == "OPEN"
    assert info["host_id"] == host.host.getID()
    assert info["start_ts"] >= info["create_ts"]
    assert isinstance(info["start_time"], str)
    assert info["completion_ts"] is None


def test_a_closed_task(bench: TaskBench, anonymous: Any) -> None:
    info = anonymous.getTaskInfo(bench.closed_task("done"))
    assert koji.TASK_STATES[info["state"]] == "CLOSED"
    assert info["completion_ts"] >= info["start_ts"]
    assert isinstance(info["completion_time"], str)


@pytest.mark.parametrize("name, finished", [("free", False), ("open", False), ("closed", True), ("canceled", True)])
def test_finished(bench: TaskBench, anonymous: Any, name: str, finished: bool) -> None:
    make = {
        "free": bench.free_task,
        "open": bench.open_task,
        "closed": lambda: bench.closed_task(1),
        "canceled": bench.canceled_task,
    }
    assert anonymous.taskFinished(make[name]()) is finished


def test_no_children(bench: TaskBench, anonymous: Any) -> None:
    assert anonymous.getTaskChildren(bench.free_task()) == []


def test_children_of_a_missing_task(anonymous: Any) -> None:
    assert anonymous.getTaskChildren(MISSING) == []


def test_children_of_a_missing_task_when_strict(anonymous: Any) -> None:
    with assert_refused(1000, "query returned no rows"):
        anonymous.getTaskChildren(MISSING, strict=True)


def test_children(bench: TaskBench, anonymous: Any) -> None:
    parent = bench.open_task()
    wanted = {bench.child(parent, "x86_64"), bench.child(parent, "aarch64", arch="aarch64")}
    children = anonymous.getTaskChildren(parent)
    assert {child["id"] for child in children} == wanted
    assert {child["parent"] for child in children} == {parent}
    assert {child["label"]: child["arch"] for child in children} == {"x86_64": "x86_64", "aarch64": "aarch64"}
    assert all(set(child) == shapes.TASK for child in children)


def test_children_with_request(bench: TaskBench, anonymous: Any) -> None:
    parent = bench.open_task()
    bench.child(parent, "x86_64")
    (child,) = anonymous.getTaskChildren(parent, request=True)
    assert child["request"] == [{"label": "x86_64"}]


def test_descendants_of_a_task_alone(bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.free_task()
    assert anonymous.getTaskDescendents(task_id) == {str(task_id): []}


def test_descendants_of_a_missing_task(anonymous: Any) -> None:
    assert anonymous.getTaskDescendents(MISSING) == {str(MISSING): []}


def test_descendants(bench: TaskBench, anonymous: Any) -> None:
    root = bench.open_task()
    first, second = bench.child(root, "first"), bench.child(root, "second")
    bench.give(first)
    grandchild = bench.child(first, "grandchild")
    tree = anonymous.getTaskDescendents(root)
    listed = {parent: [child["id"] for child in children] for parent, children in tree.items()}
    assert listed == {
        str(root): [first, second],
        str(first): [grandchild],
        str(second): [],
        str(grandchild): [],
    }
    assert all(set(child) == shapes.TASK for child in tree[str(root)])


def test_descendants_with_request(bench: TaskBench, anonymous: Any) -> None:
    root = bench.open_task()
    bench.child(root, "x86_64")
    ((child,), leaf) = anonymous.getTaskDescendents(root, request=True).values()
    assert child["request"] == [{"label": "x86_64"}]
    assert leaf == []
