# SPDX-License-Identifier: GPL-2.0-or-later
"""The NVR that the client expects: none if only the builder knows a label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fedpkg_container.hub.preflight import preflight
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.model.build import BuildRequest


class _Hub:
    """A hub that responds to the calls of the checks."""

    baseurl = "https://hub"

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def getBuildTarget(self, _: str) -> dict[str, Any]:
        return {"build_tag": 1, "dest_tag": 2, "build_tag_name": "b", "dest_tag_name": "d"}

    @contextmanager
    def multicall(self, **_: Any) -> Iterator[Any]:
        answers = {
            "getTag": {"locked": False},
            "getPackageConfig": {"blocked": False},
            "getNextRelease": "7",
            "getBuildConfig": {"name": "b", "arches": "x86_64"},
            "getBuild": None,
            **self.answers,
        }
        yield SimpleNamespace(
            **{
                name: (lambda *_, _name=name, **__: SimpleNamespace(result=answers.get(_name, [])))
                for name in (*answers, "listHosts", "getAverageBuildDuration", "listTasks", "listBuilds")
            }
        )


@pytest.mark.parametrize("tag", [None, {"locked": False}], ids=["missing", "existing"])
def test_a_destination_tag_that_does_not_exist(tag: object) -> None:
    request = BuildRequest("git+https://x/c#0", "t", {})
    found = preflight(cast(HubSession, _Hub(getTag=tag)), request, {})
    assert ("dest-tag" in [finding.code for finding in found.findings]) is (tag is None)


_IMAGE = {"extra": {"image": {"index": {"pull": [f"r.io/c@sha256:{'0' * 64}"]}}}}


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (None, "build p-1-1 does not exist"),
        ({"state": 1, "extra": {}}, "build p-1-1 is not a container image"),
        ({"state": 3, **_IMAGE}, "build p-1-1 is failed"),
        ({"state": 1, **_IMAGE}, ""),
    ],
)
def test_the_build_of_a_parent(build: dict[str, Any] | None, problem: str) -> None:
    request = BuildRequest("git+https://x/c#0", "t", {"koji_parent_build": "p-1-1"})
    found = preflight(cast(HubSession, _Hub(getBuild=build)), request, {}).findings
    messages = [finding.message for finding in found if finding.code == "koji-parent-build"]
    assert messages == ([f"--koji-parent-build: {problem}"] if problem else [])


@pytest.mark.parametrize(
    ("labels", "unknown", "release", "nvr"),
    [
        ({"version": "1"}, set(), None, "c-1-7"),
        ({"version": "1"}, {"release"}, None, ""),
        ({"version": "1"}, {"Release"}, None, ""),
        ({"version": "1"}, {"release"}, "5", "c-1-5"),
        ({}, {"version"}, None, ""),
        ({"version": "1"}, {"name"}, None, "c-1-7"),
    ],
)
def test_no_nvr_is_claimed_that_only_the_builder_knows(
    labels: dict[str, str], unknown: set[str], release: str | None, nvr: str
) -> None:
    request = BuildRequest("git+https://x/c#0", "t", {"release": release} if release else {})
    session = cast(HubSession, _Hub())
    found = preflight(session, request, {"com.redhat.component": "c", **labels}, unknown=unknown)
    assert found.nvr == nvr
    assert found.release_is_next == (nvr == "c-1-7")


@pytest.mark.parametrize(
    ("package", "message", "advice"),
    [
        (None, "package c is not listed in d", "koji add-pkg --owner … d c"),
        ({"blocked": True}, "package c is blocked in d", "koji unblock-pkg d c"),
    ],
)
def test_advice_about_a_package(package: dict[str, Any] | None, message: str, advice: str) -> None:
    session = cast(HubSession, _Hub(getPackageConfig=package))
    request = BuildRequest("git+https://x/c#0", "t", {})
    found = preflight(session, request, {"com.redhat.component": "c", "version": "1"})
    (finding,) = [finding for finding in found.findings if finding.code == "package"]
    assert finding.message == message
    assert finding.solution.endswith(advice)
