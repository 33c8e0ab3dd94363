# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``container-status`` reports about HEAD, and about a build in a list."""

from __future__ import annotations

import io

import pytest

from fedpkg_container.commands.status_checkout import _head_line
from fedpkg_container.commands.status_lists import build_rows
from fedpkg_container.hub.builds import Build
from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.requested_builds import RequestedBuild
from fedpkg_container.progress.look import Page

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


def _line(build: Build) -> str:
    return " ".join(Page(io.TextIOWrapper(io.BytesIO(), "utf-8")).table(build_rows(build))[0].split())


def test_tags_are_separated_by_commas() -> None:
    build = Build(1, "web-1-1", "web", "COMPLETE", "me", None, None, "", 17, tags=("candidate", "updates"))
    assert _line(build) == "✔ web-1-1 complete by me in candidate, updates"


@pytest.mark.parametrize(("state", "shown"), [("FAILED", "✘ web-1-1 failed"), ("CANCELED", "✘ web-1-1 canceled"),
                                              ("BUILDING", "● web-1-1 running (building)")])  # fmt: skip
def test_task_of_an_incomplete_build_is_named(state: str, shown: str) -> None:
    """Its number is needed to read the logs."""
    build = Build(1, "web-1-1", "web", state, "me", None, None, "", 17)
    assert _line(build) == f"{shown} by me task 17"
