# SPDX-License-Identifier: GPL-2.0-or-later
"""buildContainer, the plugin's call, and requests that it rejects before a task is created."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.contract.support import OPTIONS, SOURCE, assert_refused
from tests.contract.tasks import TaskBench


@contextmanager
def no_new_task(session: Any) -> Iterator[None]:
    """Assert that the calls inside create no task of the session's user."""
    mine = {"owner": session.getLoggedInUser()["id"]}
    before = session.listTasks(mine, {"countOnly": True})
    yield
    assert session.listTasks(mine, {"countOnly": True}) == before


def test_task_keeps_the_arguments(bench: TaskBench, packager: Any) -> None:
    options = {
        "git_branch": "main",
        "scratch": True,
        "arch_override": "x86_64",
        "yum_repourls": ["https://x/y.repo"],
    }
    task_id = bench.remember(packager.buildContainer(SOURCE, "a-target", options))
    assert isinstance(task_id, int)
    assert packager.getTaskRequest(task_id) == [SOURCE, "a-target", options]


def test_none_options_are_treated_as_absent(bench: TaskBench, packager: Any) -> None:
    options = {"git_branch": "main", "scratch": None, "release": None, "compose_ids": None, "userdata": None}
    task_id = bench.remember(packager.buildContainer(SOURCE, "a-target", options))
    assert packager.getTaskInfo(task_id)["method"] == "buildContainer"


def test_arguments_by_name(bench: TaskBench, packager: Any) -> None:
    task_id = packager.buildContainer(src=SOURCE, target="a-target", opts=OPTIONS, priority=3)
    assert packager.getTaskInfo(bench.remember(task_id))["priority"] == 23


@pytest.mark.parametrize("given, stored", [(None, 20), (0, 20), (5, 25)])
def test_priority(bench: TaskBench, packager: Any, given: int | None, stored: int) -> None:
    task_id = bench.remember(packager.buildContainer(SOURCE, "a-target", OPTIONS, given))
    assert packager.getTaskInfo(task_id)["priority"] == stored


def test_negative_priority(packager: Any) -> None:
    with no_new_task(packager), assert_refused(1004, "only admins may create high-priority tasks"):
        packager.buildContainer(SOURCE, "a-target", OPTIONS, -1)


def test_negative_priority_of_an_admin(bench: TaskBench, admin: Any) -> None:
    task_id = bench.remember(admin.buildContainer(SOURCE, "a-target", OPTIONS, -5))
    assert admin.getTaskInfo(task_id)["priority"] == 15


def test_another_channel(bench: TaskBench, packager: Any) -> None:
    task_id = bench.remember(packager.buildContainer(SOURCE, "a-target", OPTIONS, channel="default"))
    assert packager.getTaskInfo(task_id)["channel_id"] == packager.getChannel("default")["id"]


def test_unknown_channel(packager: Any) -> None:
    with no_new_task(packager), assert_refused(1000, "No such channel: contract-no-channel"):
        packager.buildContainer(SOURCE, "a-target", OPTIONS, channel="contract-no-channel")


def test_missing_target(packager: Any) -> None:
    with assert_refused(1019, "buildContainer() missing 1 required positional argument: 'target'"):
        packager.buildContainer(SOURCE)


def test_without_login(anonymous: Any) -> None:
    with assert_refused(1004, "you must be logged in for this operation"):
        anonymous.buildContainer(SOURCE, "a-target", OPTIONS)


@pytest.mark.parametrize(
    "options, named",
    [
        ({"colour": "red"}, "colour"),
        ({"scratch": True, "isolated": True, "release": "1"}, "both scratch and isolated"),
        ({"scratch": "yes"}, "scratch"),
        ({"yum_repourls": "https://x/y.repo"}, "yum_repourls"),
        ({"compose_ids": ["one"]}, "compose_ids"),
        ({"isolated": True}, "release"),
        (
            {"isolated": True, "release": "8"},
            "the release of an isolated build must have the form 3.1 or 3.1.fix, not '8'",
        ),
        ({"arch_override": "x86_64"}, "architectures"),
        ({"git_branch": ""}, "git_branch"),
        ({"git_branch": None}, "git_branch"),
    ],
)
def test_invalid_options_create_no_task(packager: Any, options: dict[str, Any], named: str) -> None:
    with no_new_task(packager), assert_refused(1000, re.compile(rf"^buildContainer: .*{named}")):
        packager.buildContainer(SOURCE, "a-target", {**OPTIONS, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"flatpak": True},
        {"compose_ids": [1]},
        {"signing_intent": "release"},
        {"dependency_replacements": ["pip:a:1"]},
        {"operator_csv_modifications_url": "https://x/y.json"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_unavailable_options_create_no_task(packager: Any, options: dict[str, Any]) -> None:
    refusal = re.compile(rf"^buildContainer: option {next(iter(options))} is not supported: it requires a")
    with no_new_task(packager), assert_refused(1000, refusal):
        packager.buildContainer(SOURCE, "a-target", {**OPTIONS, **options})


@pytest.mark.parametrize(
    "source, named",
    [
        ("hello", "Invalid scheme"),
        ("https://example.com/container/hello#1", "Invalid scheme"),
        ("git+https://example.com/container/hello", "Could not find the fragment"),
        ("git+https://[::1/container/hello#1", "Invalid IPv6 URL"),
        ("svn+https://example.com/container/hello#1", "sources of type svn"),
        ("git+https://example.com/container/%2e%2e/rpms/hello#1", "source paths with %"),
        (
            "git+https://example.com/container/hello?allowed/dir#1",
            "subdirectories of a repository .*; move the Dockerfile",
        ),
        ("git+https://me:secret@example.com/container/hello#1", "a source with a password is not built; give"),
        ("git+https://:secret@example.com/container/hello#1", "a source with a password is not built; give"),
        (7, "must be a URL"),
    ],
)
def test_invalid_sources_create_no_task(packager: Any, source: Any, named: str) -> None:
    with no_new_task(packager), assert_refused(1000, re.compile(rf"^buildContainer: .*{named}")):
        packager.buildContainer(source, "a-target", OPTIONS)


def test_target_must_be_a_name(packager: Any) -> None:
    with no_new_task(packager), assert_refused(1000, re.compile("target must be the name")):
        packager.buildContainer(SOURCE, 1, OPTIONS)


@pytest.mark.parametrize("options", [None, {}, "main", ["main"]])
def test_options_of_another_type_create_no_task(packager: Any, options: Any) -> None:
    with no_new_task(packager), assert_refused(1000, re.compile(r"^buildContainer: ")):
        packager.buildContainer(SOURCE, "a-target", options)
