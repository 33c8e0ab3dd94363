# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``container-status`` reports about HEAD and the tags of a build."""

from __future__ import annotations

import pytest

from fedpkg_container.commands.status_checkout import _build, _head_line
from fedpkg_container.hub.builds import Build, RequestedBuild
from fedpkg_container.hub.events import TaskState

HEAD = "a" * 40


def _running(commit: str, *, scratch: bool = False) -> RequestedBuild:
    task = TaskState(17, None, "buildContainer", "", "OPEN", "builder-1")
    return RequestedBuild(f"git+https://x/container/web#{commit}", "t", "rawhide", scratch, "me", (task,))


@pytest.mark.parametrize(
    ("nvr", "ahead", "running", "line"),
    [
        (None, None, [], "HEAD has not been built, nor any earlier commit"),
        (None, None, [_running(HEAD)], "HEAD is being built by task 17"),
        ("web-1-1", 1, [_running(HEAD)], "HEAD is being built by task 17"),
        ("web-1-1", 1, [_running(HEAD, scratch=True)], "HEAD is 1 commit ahead of web-1-1"),
        ("web-1-1", 1, [_running("b" * 40)], "HEAD is 1 commit ahead of web-1-1"),
        ("web-1-1", 0, [_running(HEAD)], "HEAD has been built: web-1-1"),
    ],
)
def test_state_of_head(nvr: str | None, ahead: int | None, running: list[RequestedBuild], line: str) -> None:
    behind = None if nvr is None else 0
    assert _head_line({"commit": HEAD, "nvr": nvr, "ahead": ahead, "behind": behind}, running) == line


def test_tags_are_separated_by_commas() -> None:
    build = Build(1, "web-1-1", "web", "COMPLETE", "me", None, None, "", 17, tags=("candidate", "updates"))
    assert list(_build(build)) == ["    web-1-1  complete, by me, in candidate, updates"]


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "BUILDING"])
def test_task_of_an_incomplete_build_is_named(state: str) -> None:
    """Its number is needed to read the logs."""
    build = Build(1, "web-1-1", "web", state, "me", None, None, "", 17)
    assert list(_build(build)) == [f"    web-1-1  {state.lower()}, by me, task 17"]
