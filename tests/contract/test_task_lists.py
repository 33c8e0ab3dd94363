# SPDX-License-Identifier: GPL-2.0-or-later
"""listTasks: used to find a task after a lost response, and for the status display."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.support import OPTIONS, SOURCE, new_name
from tests.contract.tasks import TaskBench


@pytest.fixture
def mine(packager: Any) -> dict[str, Any]:
    """Options that restrict a list to the packager's container builds."""
    return {"owner": packager.getLoggedInUser()["id"], "method": "buildContainer"}


def newest(session: Any, opts: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = session.listTasks(opts, {"limit": count, "order": "-id"})
    return tasks


def test_a_listed_task(bench: TaskBench, anonymous: Any, mine: dict[str, Any], packager_name: str) -> None:
    target = new_name("target")
    task_id = bench.free_task(target)
    (task,) = newest(anonymous, {**mine, "decode": True})
    assert set(task) == shapes.LISTED_TASK
    assert (task["id"], task["owner_name"], task["owner_type"]) == (task_id, packager_name, 0)
    assert task["request"] == [SOURCE, target, OPTIONS]
    assert task["result"] is None


def test_requests_are_encoded_unless_decoded(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    bench.free_task("a-target")
    (task,) = newest(anonymous, mine)
    params, method = koji.xmlrpcplus.loads(task["request"])
    assert (list(params), method) == ([SOURCE, "a-target", OPTIONS], "buildContainer")


def test_decoded_result(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    task_id = bench.closed_task({"koji_builds": ["1"]})
    (task,) = newest(anonymous, {**mine, "decode": True})
    assert (task["id"], task["result"]) == (task_id, [{"koji_builds": ["1"]}])


def test_decoded_failure(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    task_id = bench.failed_task(1005, "boom")
    (task,) = newest(anonymous, {**mine, "decode": True})
    assert (task["id"], task["result"]) == (task_id, {"faultCode": 1005, "faultString": "boom"})


def test_by_state(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    closed, canceled, opened = bench.closed_task(1), bench.canceled_task(), bench.open_task()
    states = koji.TASK_STATES
    assert [t["id"] for t in newest(anonymous, {**mine, "state": [states["OPEN"]]})] == [opened]
    ended = newest(anonymous, {**mine, "state": [states["CLOSED"], states["CANCELED"]]}, 2)
    assert [t["id"] for t in ended] == [canceled, closed]


def test_by_parent(bench: TaskBench, anonymous: Any) -> None:
    parent = bench.open_task()
    child = bench.child(parent)
    assert [t["id"] for t in anonymous.listTasks({"parent": parent}, {})] == [child]


def test_by_parent_none(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    parent = bench.open_task()
    bench.child(parent)
    assert newest(anonymous, {"owner": mine["owner"], "parent": None})[0]["id"] == parent


def test_by_another_method(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    bench.free_task()
    assert anonymous.listTasks({**mine, "method": "noSuchMethod"}, {}) == []


def test_by_time_of_creation(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    first, second = bench.free_task(), bench.free_task()
    after = anonymous.getTaskInfo(first)["create_ts"]
    ids = [t["id"] for t in anonymous.listTasks({**mine, "createdAfter": after}, {"order": "id"})]
    assert ids[-1] == second
    assert all(task_id >= first for task_id in ids)


def test_by_time_of_completion(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    first, second = bench.failed_task(1005, "boom"), bench.failed_task(1005, "boom")
    bench.open_task()
    after = anonymous.getTaskInfo(first)["completion_ts"]
    failed = {**mine, "parent": None, "state": [koji.TASK_STATES["FAILED"]], "completeAfter": after}
    assert [t["id"] for t in anonymous.listTasks(failed, {"order": "id"})][-1] == second
    assert anonymous.listTasks({**failed, "completeAfter": after + 3600}, {}) == []


def test_order_and_limit(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    first, second, third = bench.free_task(), bench.free_task(), bench.free_task()
    assert [t["id"] for t in newest(anonymous, mine, 2)] == [third, second]
    skipped = anonymous.listTasks(mine, {"limit": 1, "offset": 2, "order": "-id"})
    assert [t["id"] for t in skipped] == [first]


def test_count(bench: TaskBench, anonymous: Any, mine: dict[str, Any]) -> None:
    before = anonymous.listTasks(mine, {"countOnly": True})
    bench.free_task()
    bench.free_task()
    assert anonymous.listTasks(mine, {"countOnly": True}) == before + 2
