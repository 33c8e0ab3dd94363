# SPDX-License-Identifier: GPL-2.0-or-later
"""Permissions for host.* calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.support import Connect, HubAccess, as_fault, as_result, assert_refused, log_in, new_name
from tests.contract.tasks import TaskBench

#: A call of each method that a builder makes, with arguments that would do.
CALLS: dict[str, tuple[Any, ...]] = {
    "getID": (),
    "getHost": (),
    "getTasks": (),
    "getHostTasks": (),
    "updateHost": (0.0, False),
    "openTask": (1,),
    "closeTask": (1, as_result(None)),
    "failTask": (1, as_fault(1, "x")),
    "freeTasks": ([],),
    "refuseTask": (1,),
    "setTaskWeight": (1, 1.0),
    "subtask": ("createContainer", [], 1),
    "subtask2": (1, {}, "createContainer"),
    "taskSetWait": (1, []),
    "taskWait": (1,),
    "taskWaitResults": (1, []),
    "tagBuild": (1, "x", "x-1-1"),
    "repoInit": ("x",),
    "repoDone": (1, {}),
}


@pytest.fixture
def sharing(access: HubAccess, host: Any) -> Iterator[Any]:
    """A non-exclusive session of the host."""
    host.logout()
    log_in(host, access, access.host)
    yield host
    host.exclusiveSession()


@pytest.fixture
def foreign_task(bench: TaskBench, admin: Any) -> Iterator[int]:
    """A task assigned to another host."""
    name = new_name("host")
    admin.addHost(name, ["x86_64"])
    task_id = bench.free_task()
    assert admin.assignTask(task_id, name) is True
    yield task_id
    admin.disableHost(name)


@pytest.mark.parametrize("method", CALLS)
def test_packager_is_not_a_host(packager: Any, method: str) -> None:
    user_id = packager.getLoggedInUser()["id"]
    with assert_refused(1002, f"User {user_id} is not a host"):
        packager.callMethod(f"host.{method}", *CALLS[method])


@pytest.mark.parametrize("method", CALLS)
def test_anonymous_session_is_not_a_host(anonymous: Any, method: str) -> None:
    with assert_refused(1002, "Not logged-in"):
        anonymous.callMethod(f"host.{method}", *CALLS[method])


@pytest.mark.parametrize("method", CALLS)
def test_the_session_has_to_be_exclusive(sharing: Any, method: str) -> None:
    with assert_refused(1002, "This method requires an exclusive session"):
        sharing.callMethod(f"host.{method}", *CALLS[method])


def test_a_second_session_of_the_host_is_locked(access: HubAccess, connect: Connect, host: Any) -> None:
    with assert_refused(1006, "User locked by another session"):
        connect(access.host).callMethod("host.getID")


def test_a_subsession_of_the_host_has_the_lock(host: Any) -> None:
    child = host.subsession()
    assert child.host.getID() == host.host.getID()
    host.logoutChild(child.sinfo["session-id"])


def test_task_of_another_host_is_not_opened(foreign_task: int, host: Any) -> None:
    assert host.host.openTask(foreign_task) is None


def test_task_of_another_host_is_not_listed(foreign_task: int, host: Any) -> None:
    assert foreign_task not in [task["id"] for task in host.host.getTasks()]


@pytest.mark.parametrize(
    "method, arguments",
    [
        ("closeTask", (as_result(None),)),
        ("failTask", (as_fault(1, "x"),)),
        ("setTaskWeight", (1.0,)),
        ("tagBuild", ("x", "x-1-1")),
    ],
)
def test_task_of_another_host(foreign_task: int, host: Any, method: str, arguments: tuple[Any, ...]) -> None:
    with assert_refused(1004, f"host {host.host.getID()} does not own task {foreign_task}"):
        host.callMethod(f"host.{method}", foreign_task, *arguments)


def test_subtask_of_a_task_of_another_host(foreign_task: int, host: Any) -> None:
    with assert_refused(1004, f"host {host.host.getID()} does not own task {foreign_task}"):
        host.host.subtask("createContainer", [], foreign_task)


def test_refusing_a_task_of_another_host_does_nothing(bench: TaskBench, foreign_task: int, host: Any) -> None:
    assert host.host.refuseTask(foreign_task) is None
    assert bench.state(foreign_task) == "ASSIGNED"


def test_freeing_a_task_of_another_host_does_nothing(bench: TaskBench, foreign_task: int, host: Any) -> None:
    assert host.host.freeTasks([foreign_task]) is None
    assert bench.state(foreign_task) == "ASSIGNED"
