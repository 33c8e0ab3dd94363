# SPDX-License-Identifier: GPL-2.0-or-later
"""The main loop of a builder (koji's `TaskManager`) with the hub."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import koji
import koji.daemon
import koji.tasks
import pytest

from tests.contract.support import OPTIONS, SOURCE, assert_refused
from tests.contract.tasks import TaskBench
from tests.support.strange import strange_names

#: Seconds for a task to be taken, or for one that spawns another to end.
DEADLINE = 240


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    """No process of another test has a name that koji's daemon cannot read."""
    with strange_names(allowed=False):
        yield


class Handler(koji.tasks.BaseTaskHandler):  # type: ignore[misc]
    """Task handler whose action is the name of the target."""

    Methods = ("buildContainer",)
    _taskWeight = 0.25

    def handler(self, src: str, target: str, opts: dict[str, Any]) -> Any:
        if target == "return":
            return {"src": src, "opts": opts}
        if target == "integer-keys":
            return {1: "one"}
        if target == "build-error":
            raise koji.BuildError("no such image")
        if target == "refuse":
            raise koji.tasks.RefuseTask("not now")
        if target == "spawn":
            child = self.session.host.subtask("createContainer", ["x86_64"], self.id, label="x86_64", arch="x86_64")
            return self.wait([child])[child]
        raise KeyError(target)


class ChildHandler(koji.tasks.BaseTaskHandler):  # type: ignore[misc]
    Methods = ("createContainer",)

    def handler(self, arch: str) -> str:
        return f"built for {arch}"


class Builder(koji.daemon.TaskManager):  # type: ignore[misc]
    """A builder that accepts tasks regardless of the load and free space of this machine."""

    def readyForTask(self) -> bool:
        self.hostdata = self.session.host.getHost()
        return True


def manager(host: Any, directory: Path, single: bool = True) -> Any:
    """A builder that runs tasks in this process by default."""
    options = argparse.Namespace(maxjobs=5, workdir=str(directory), topdir=str(directory), single=single)
    made = Builder(options, host)
    made.registerHandler(Handler)
    made.registerHandler(ChildHandler)
    return made


@pytest.fixture
def builder(host: Any, tmp_path: Path) -> Iterator[Any]:
    yield manager(host, tmp_path)
    host.host.updateHost(0.0, False)


def run_task(bench: TaskBench, builder: Any, target: str) -> int:
    """Run one task on the builder, after the tasks assigned before."""
    task_id = bench.free_task(target)
    bench.admin.assignTask(task_id, bench.host_name)
    deadline = time.monotonic() + DEADLINE
    while bench.state(task_id) == "ASSIGNED":
        assert time.monotonic() < deadline, f"the builder did not take task {task_id}"
        builder.getNextTask()
    return task_id


def test_what_a_handler_returns(bench: TaskBench, builder: Any, anonymous: Any) -> None:
    task_id = run_task(bench, builder, "return")
    assert anonymous.getTaskResult(task_id) == {"src": SOURCE, "opts": OPTIONS}
    assert anonymous.getTaskInfo(task_id)["weight"] == 0.25


def test_a_koji_error_fails_the_task_with_its_message(bench: TaskBench, builder: Any, anonymous: Any) -> None:
    task_id = run_task(bench, builder, "build-error")
    with assert_refused(1005, "no such image"):
        anonymous.getTaskResult(task_id)
    assert bench.state(task_id) == "FAILED"


def test_another_error_fails_it_with_a_traceback(bench: TaskBench, builder: Any, anonymous: Any) -> None:
    task_id = run_task(bench, builder, "other")
    with assert_refused(1, re.compile(r"^Traceback \(most recent call last\):(.|\n)*KeyError: 'other'\n$")):
        anonymous.getTaskResult(task_id)


def test_integer_keys_fail_the_task(bench: TaskBench, builder: Any, anonymous: Any) -> None:
    task_id = run_task(bench, builder, "integer-keys")
    with assert_refused(1, re.compile(r"dictionary key must be string\n$")):
        anonymous.getTaskResult(task_id)


def test_a_handler_may_refuse_its_open_task(bench: TaskBench, builder: Any) -> None:
    assert bench.state(run_task(bench, builder, "refuse")) == "FREE"


def test_a_task_without_a_handler_is_refused(bench: TaskBench, builder: Any) -> None:
    del builder.handlers["buildContainer"]
    task_id = run_task(bench, builder, "return")
    assert bench.state(task_id) == "FREE"
    assert bench.packager.getTaskInfo(task_id)["host_id"] is None


def test_open_tasks_of_an_earlier_run_are_freed(bench: TaskBench, builder: Any) -> None:
    task_id = bench.open_task()
    builder.updateTasks()
    assert bench.state(task_id) == "FREE"


def test_shutting_down(bench: TaskBench, builder: Any, host: Any) -> None:
    builder.getNextTask()
    assert host.host.getHost()["ready"] is True
    builder.shutdown()
    assert (host.host.getHost()["ready"], host.host.getHost()["task_load"]) == (False, 0.0)


@pytest.mark.timeout(2 * DEADLINE)
def test_a_task_that_waits_for_its_child(bench: TaskBench, host: Any, admin: Any, tmp_path: Path) -> None:
    builder = manager(host, tmp_path, single=False)
    try:
        task_id = run_task(bench, builder, "spawn")
        deadline = time.monotonic() + DEADLINE
        while not admin.taskFinished(task_id) or builder.pids:
            assert time.monotonic() < deadline, admin.getTaskDescendents(task_id)
            for child in admin.getTaskChildren(task_id):
                if koji.TASK_STATES[child["state"]] == "FREE":
                    admin.assignTask(child["id"], bench.host_name)
            builder.updateTasks()
            builder.getNextTask()
            time.sleep(0.1)
    finally:
        # Also ends the processes of tasks that have not ended.
        builder.shutdown()
    assert admin.getTaskResult(task_id) == "built for x86_64"
