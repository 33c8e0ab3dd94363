# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for the repository of a build tag."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import koji
import pytest
import requests

from fedpkg_container.commands.container_build import wait_for_repository
from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.wait_repo import INTERVAL, RepositoryWait


class _Hub:
    """A hub on which a build is tagged after some requests, and a repository is created after some others.

    :param old: whether it does not create repositories on request
    """

    def __init__(self, *, tagged: int = 0, ready: int = 0, old: bool = False) -> None:
        self.tagged, self.ready, self.old = tagged, ready, old
        self.repo = self
        self.baseurl = "https://hub.example"
        self.failures: list[Exception] = []

    def getBuild(self, nvr: str) -> Any:
        return {"nvr": nvr, "package_name": "hello"} if nvr == "hello-1-1" else None

    def listTagged(self, tag: str, *, inherit: bool, package: str) -> Any:
        assert (tag, inherit, package) == ("f42-build", True, "hello")
        if self.failures:
            raise self.failures.pop()
        self.tagged -= 1
        return [{"nvr": "hello-1-1"}] if self.tagged < 0 else [{"nvr": "hello-1-0"}]

    def tagLastChangeEvent(self, tag: str) -> int:
        assert tag == "f42-build"
        return 70

    def request(self, tag: str, *, min_event: int) -> Any:
        if self.old:
            raise koji.GenericError("Invalid method: repo.request")
        assert (tag, min_event) == ("f42-build", 70)
        self.ready -= 1
        return {"repo": {"id": 5} if self.ready < 0 else None}

    def getRepo(self, tag: str) -> Any:
        assert tag == "f42-build"
        self.ready -= 1
        return {"id": 5, "create_event": 70 if self.ready < 0 else 69}


def _wait(hub: _Hub, *nvrs: str, timeout: float = 1000.0) -> tuple[Any, list[str], float]:
    """Wait; return the repository, the reports, and the seconds waited."""
    reports: list[str] = []
    seconds = [0.0]

    def sleep(pause: float) -> None:
        seconds[0] += pause

    waiting = RepositoryWait(
        cast(HubSession, hub), reports.append, timeout=timeout, sleep=sleep, clock=lambda: seconds[0]
    )
    return waiting.wait("f42-build", nvrs), reports, seconds[0]


def test_an_up_to_date_repository() -> None:
    assert _wait(_Hub()) == ({"id": 5}, [], 0.0)
    assert _wait(_Hub(), "hello-1-1") == ({"id": 5}, [], 0.0)


@pytest.mark.parametrize("old", [False, True])
def test_a_build_and_its_repository_are_awaited(old: bool) -> None:
    repository, reports, seconds = _wait(_Hub(tagged=2, ready=3, old=old), "hello-1-1")
    assert repository["id"] == 5
    assert reports == ["waiting for hello-1-1 to be tagged into f42-build", "waiting for the repository of f42-build"]
    assert seconds == 5 * INTERVAL


def test_a_hub_that_does_not_respond_for_a_while() -> None:
    hub = _Hub(tagged=0)
    hub.failures = [koji.ServerOffline("down"), requests.ConnectionError("reset")]
    assert _wait(hub, "hello-1-1") == ({"id": 5}, ["waiting for the hub to respond"], 2 * INTERVAL)


def test_the_time_limit() -> None:
    with pytest.raises(FedpkgContainerError, match="waiting for the repository of f42-build: exceeded the time limit"):
        _wait(_Hub(ready=10**6), timeout=60.0)


def test_a_build_that_does_not_exist() -> None:
    with pytest.raises(RefusedError, match="build other-1-1 does not exist"):
        _wait(_Hub(), "other-1-1")


def test_other_errors_of_the_hub() -> None:
    hub = _Hub()
    hub.failures = [koji.GenericError("No such tagInfo")]
    with pytest.raises(koji.GenericError):
        _wait(hub, "hello-1-1")


def test_a_dry_run_only_checks_that_the_builds_exist() -> None:
    arguments = SimpleNamespace(dry_run=True, wait_repo=["hello-1-1", ""], progress="plain", q=False)
    client, hub = cast(Any, SimpleNamespace(args=arguments)), _Hub(tagged=10**9)
    build = cast(Any, SimpleNamespace(session=hub, preflight=SimpleNamespace(build_tag="f42-build")))
    wait_for_repository(client, build)
    assert hub.tagged == 10**9, "nothing was awaited"
    arguments.wait_repo = ["other-1-1"]
    with pytest.raises(RefusedError, match="--wait-repo: build other-1-1 does not exist"):
        wait_for_repository(client, build)
