# SPDX-License-Identifier: GPL-2.0-or-later
"""The build of a commit, and the request of a task to be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import koji
import pytest

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.earlier import build_for_target, builds_of_commit, is_repeated, read_request
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.model.build import BuildRequest

SOURCE = "git+https://src.example.org/container/hello"


def _build(number: int, commit: str, *, source: str = SOURCE, task: int | None = None, isolated: bool = False) -> Any:
    return {
        "build_id": number,
        "nvr": f"hello-1-{number}",
        "name": "hello",
        "package_name": "hello",
        "state": koji.BUILD_STATES["COMPLETE"],
        "owner_name": "x",
        "source": f"{source}#{commit}",
        "task_id": task,
        "extra": {"typeinfo": {"image": {"isolated": isolated}}},
    }


class _Hub:
    """A hub with some tasks."""

    def __init__(self, *tasks: dict[str, Any]) -> None:
        self.tasks = {task["id"]: task for task in tasks}
        self.requests = 0

    def getTaskInfo(self, number: int, *, request: bool = False) -> Any:
        assert request
        self.requests += 1
        return self.tasks.get(number)

    @contextmanager
    def multicall(self, *, strict: bool) -> Iterator[Any]:
        assert not strict
        self.requests += 1
        yield SimpleNamespace(
            getTaskInfo=lambda number, request: SimpleNamespace(result=self.tasks.get(number) if request else None)
        )


def _task(number: int = 7, state: str = "FAILED", **fields: Any) -> dict[str, Any]:
    options = {"git_branch": "rawhide", "scratch": True, "release": None}
    return {
        "id": number,
        "method": "buildContainer",
        "parent": None,
        "state": koji.TASK_STATES[state],
        "priority": 20,
        "request": [f"{SOURCE}#1", "rawhide", options],
        **fields,
    }


def _session(*tasks: dict[str, Any]) -> HubSession:
    return cast(HubSession, _Hub(*tasks))


def test_builds_of_a_commit() -> None:
    listed = [
        _build(5, "1", isolated=True),
        _build(4, "1", source="git+https://src.example.org/container/other"),
        _build(3, "1"),
        _build(2, "2"),
        _build(1, "1", source=f"{SOURCE}.git"),
    ]
    assert [build.id for build in builds_of_commit(listed, f"{SOURCE}#1")] == [3, 1]


def test_only_a_build_for_the_same_target_counts() -> None:
    builds = builds_of_commit([_build(2, "1", task=8), _build(1, "1", task=7)], f"{SOURCE}#1")
    session = _session(_task(7), _task(8, request=[f"{SOURCE}#1", "f42", {}]))
    found = build_for_target(session, builds, "rawhide")
    assert found is not None
    assert found.id == 1
    assert build_for_target(session, builds, "f43") is None


def test_a_build_without_a_known_task_counts() -> None:
    for task in (None, 9):
        builds = builds_of_commit([_build(2, "1", task=task)], f"{SOURCE}#1")
        assert build_for_target(_session(), builds, "rawhide") == builds[0]


def test_no_request_without_builds() -> None:
    hub = _Hub()
    assert build_for_target(cast(HubSession, hub), [], "rawhide") is None
    assert hub.requests == 0


def test_request_of_a_failed_task() -> None:
    expected = BuildRequest(f"{SOURCE}#1", "rawhide", {"git_branch": "rawhide", "scratch": True})
    assert read_request(_session(_task()), 7) == expected
    assert read_request(_session(_task(priority=25, state="CANCELED")), 7).priority == 5
    arch = _task(8, method="createContainer", parent=7, request=[{}])
    assert read_request(_session(_task(), arch), 8) == expected


@pytest.mark.parametrize(
    ("request_of_task", "expected"),
    [
        ([f"{SOURCE}#1", "rawhide", {"git_branch": "rawhide"}], True),
        ([f"{SOURCE}#1", "rawhide", {"git_branch": "rawhide", "scratch": True}], False),
        ([f"{SOURCE}#2", "rawhide", {}], False),
        ([f"{SOURCE}#1", "f42", {}], False),
        ([], False),
    ],
)
def test_a_running_task_of_the_same_build(request_of_task: list[object], expected: bool) -> None:
    request = BuildRequest(f"{SOURCE}#1", "rawhide", {"git_branch": "rawhide"})
    assert is_repeated(cast(Any, {"request": request_of_task}), request) is expected


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (None, "the hub has no task 7"),
        (_task(method="build"), "task 7 is not a container build"),
        (_task(state="CLOSED"), "task 7 has completed"),
        (_task(state="OPEN"), "task 7 is still running"),
    ],
)
def test_other_tasks_are_refused(task: dict[str, Any] | None, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        read_request(_session(*([task] if task else [])), 7)
