# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of tasks."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from tests.contract.support import assert_refused
from tests.contract.tasks import TaskBench
from tests.contract.test_tasks import MISSING


@pytest.mark.parametrize(
    "result",
    ["text", 7, None, True, ["a", [1, 2.5]], {"repositories": ["r/x:1"], "nested": {"n": None}}, "Ünïcode ✓"],
)
def test_result_of_a_closed_task(bench: TaskBench, anonymous: Any, result: Any) -> None:
    assert anonymous.getTaskResult(bench.closed_task(result)) == result


def test_a_koji_failure_is_its_own_fault(bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.failed_task(1005, "the image cannot be built")
    with pytest.raises(koji.BuildError, match=r"^the image cannot be built$"):
        anonymous.getTaskResult(task_id)


def test_another_failure_is_fault_1(bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.failed_task(1, "Traceback (most recent call last):\nKeyError: 'x'\n")
    with assert_refused(1, "Traceback (most recent call last):\nKeyError: 'x'\n"):
        anonymous.getTaskResult(task_id)


def test_a_failure_without_raising(bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.failed_task(1005, "boom")
    assert anonymous.getTaskResult(task_id, raise_fault=False) == {"faultCode": 1005, "faultString": "boom"}


def test_a_success_without_raising(bench: TaskBench, anonymous: Any) -> None:
    assert anonymous.getTaskResult(bench.closed_task("done"), raise_fault=False) == "done"


@pytest.mark.parametrize("raise_fault", [True, False])
def test_a_canceled_task(bench: TaskBench, anonymous: Any, raise_fault: bool) -> None:
    task_id = bench.canceled_task()
    with assert_refused(1000, f"Task {task_id} is canceled"):
        anonymous.getTaskResult(task_id, raise_fault=raise_fault)


@pytest.mark.parametrize("raise_fault", [True, False])
def test_an_open_task(bench: TaskBench, anonymous: Any, raise_fault: bool) -> None:
    task_id = bench.open_task()
    with assert_refused(1000, f"Task {task_id} is not finished"):
        anonymous.getTaskResult(task_id, raise_fault=raise_fault)


def test_a_free_task(bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.free_task()
    with assert_refused(1000, f"Task {task_id} is not finished"):
        anonymous.getTaskResult(task_id)


def test_a_missing_task(anonymous: Any) -> None:
    with assert_refused(1000, "No such task"):
        anonymous.getTaskResult(MISSING)
