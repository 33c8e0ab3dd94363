# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of the API server: the outcome of each, and that nothing is left and the next build works."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.box.pki import Authority
from fedpkg_container.cluster import following, job
from fedpkg_container.cluster.client import ClusterClient, ClusterError, ClusterUnavailableError
from fedpkg_container.cluster.manifests import JOB
from fedpkg_container.cluster.settings import Timeouts
from fedpkg_container.cluster.site_manifests import BUILDER
from fedpkg_container.cluster.sweeper import leftovers, sweep
from tests.cluster.conftest import NAMESPACE, with_timeouts
from tests.support.cluster.scripted import COUNTED, COUNTING, FOREVER, Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("frequent_events", "usable_afterwards")


@pytest.mark.parametrize("status", [0, 503, 500, 429])
def test_the_api_server_is_away_for_a_while(simulated: Cluster, target: Target, status: int) -> None:
    run = target.start(COUNTING)
    run.eventually_prints("line 5")
    simulated.chaos.away, simulated.chaos.status = not status, status
    simulated.chaos.restart()
    eventually(lambda: any("waiting for the API server" in line for line in run.log.reports), lambda: run.log, 30)
    simulated.chaos.away, simulated.chaos.status = False, 0
    run.wait()
    assert run.error is None
    assert run.text() == COUNTED
    assert any("reachable again" in report for report in run.log.reports)


def test_the_api_server_is_away_for_too_long(
    simulated: Cluster, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "DELETE_TIMEOUT", 0.1)
    run = target.start(FOREVER, config=with_timeouts(target, api=1))
    run.eventually_prints("started")
    simulated.chaos.away = True
    run.wait()
    assert isinstance(run.error, ClusterUnavailableError)
    simulated.chaos.away = False
    assert target.objects(), "the Job could not be deleted"
    assert sweep(target.client, JOB, NAMESPACE, target.hub, ended=set)


class _Clock:
    """A clock that can be advanced."""

    def __init__(self) -> None:
        self.advanced = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.advanced


@pytest.mark.parametrize("seconds", [60, 600, Timeouts.api + 1])
def test_the_api_server_is_away_for_minutes(
    simulated: Cluster, target: Target, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr(job, "DELETE_TIMEOUT", 0.1)
    clock = _Clock()
    monkeypatch.setattr(following, "time", clock)
    run = target.start("for n in range(20): report(f'line {n}'); time.sleep(0.05)\nend()")
    run.eventually_prints("line 5")
    simulated.chaos.away = True
    eventually(lambda: any("waiting for the API server" in line for line in run.log.reports), lambda: run.log, 30)
    clock.advanced = seconds
    if seconds > Timeouts.api:
        run.wait()
        assert isinstance(run.error, ClusterUnavailableError)
        simulated.chaos.away = False
        sweep(target.client, JOB, NAMESPACE, target.hub, ended=set)
        return
    simulated.chaos.away = False
    run.wait()
    assert run.error is None
    assert run.text() == COUNTED[:20]


def test_the_watch_is_too_old(simulated: Cluster, target: Target) -> None:
    run = target.start(COUNTING)
    run.eventually_prints("line 5")
    simulated.chaos.away = True
    simulated.store.create("configmaps", "other", {"metadata": {"name": "x"}})  # the newest version is not the pod's
    simulated.store.compact()
    simulated.store.delete("configmaps", "other", "x")
    simulated.chaos.away = False
    listed = simulated.requests.count(("list", "pods"))
    run.wait()
    assert run.error is None
    assert run.text() == COUNTED
    assert simulated.requests.count(("list", "pods")) > listed


def test_the_token_expires_and_is_rotated(simulated: Cluster, target: Target) -> None:
    run = target.start(COUNTING)
    run.eventually_prints("line 5")
    simulated.access.tokens.clear()
    simulated.access.grant(BUILDER, "new-token")
    (target.directory / "token").write_text("new-token")
    simulated.chaos.restart()
    run.wait()
    assert run.error is None
    assert run.text() == COUNTED


def test_the_token_is_rotated_late(simulated: Cluster, target: Target) -> None:
    run = target.start(COUNTING)
    run.eventually_prints("line 5")
    simulated.access.tokens.clear()
    simulated.chaos.restart()
    eventually(lambda: any("HTTP 401" in line for line in run.log.reports), lambda: run.log.reports, 30)
    simulated.access.grant(BUILDER, "new-token")
    (target.directory / "token").write_text("new-token")
    run.wait()
    assert run.error is None
    assert run.text() == COUNTED


@pytest.mark.parametrize(("method", "resource"), [("POST", "jobs"), ("POST", "secrets"), ("DELETE", "jobs")])
def test_a_response_is_lost(simulated: Cluster, target: Target, method: str, resource: str) -> None:
    simulated.chaos.lost_responses.append((method, resource))
    run = target.start("report('started')\nend()").wait()
    assert run.error is None
    assert not simulated.chaos.lost_responses
    assert run.text() == ["started"]


@pytest.mark.parametrize("fault", ["away", "token"])
def test_the_api_server_is_away_at_the_start(simulated: Cluster, target: Target, fault: str) -> None:
    simulated.chaos.away = fault == "away"
    if fault == "token":
        simulated.access.tokens.clear()
    run = target.start("report('started')\nend()")
    eventually(lambda: any("waiting for the API server" in line for line in run.log.reports), lambda: run.log, 30)
    simulated.chaos.away = False
    simulated.access.grant(BUILDER, "builder-token")
    run.wait()
    assert run.error is None
    assert run.text() == ["started"]


@pytest.mark.parametrize("offset", [-7200.0, 0.0, 7200.0])
def test_the_sweeper_uses_the_clusters_clock(simulated: Cluster, target: Target, offset: float) -> None:
    simulated.store.offset = offset
    for task_id in (7, 8):
        target.client.request("POST", JOB.collection(NAMESPACE), body=target.build(FOREVER, task_id).object())
    found = leftovers(target.client, JOB, NAMESPACE, target.hub)
    assert sorted(each.task_id for each in found) == [7, 8]
    assert all(-2 < each.age < 60 for each in found)
    assert sweep(target.client, JOB, NAMESPACE, target.hub, ended=set, min_age=120) == []
    simulated.store.offset = offset + 300
    deleted = sweep(target.client, JOB, NAMESPACE, target.hub, min_age=120, ended=lambda tasks: set(tasks) - {8})
    assert [name.split("-")[2] for name in deleted] == ["7"]
    sweep(target.client, JOB, NAMESPACE, target.hub, ended=set)


def test_the_sweeper_leaves_other_hubs_alone(simulated: Cluster, target: Target) -> None:
    target.client.request("POST", JOB.collection(NAMESPACE), body=target.build(FOREVER).object())
    assert sweep(target.client, JOB, NAMESPACE, "https://other.example.org", ended=set) == []
    assert sweep(target.client, JOB, NAMESPACE, target.hub, ended=set)


def test_a_kubeconfig_with_a_wrong_authority(simulated: Cluster, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    token = tmp_path / "token"
    token.write_text("builder-token")
    path = simulated.kubeconfig(tmp_path / "wrong", other.certificate_path, token, NAMESPACE)
    with pytest.raises(ClusterError, match="certificate verify failed"):
        ClusterClient(path).request("GET", JOB.collection(NAMESPACE))


def test_no_thread_is_left(simulated: Cluster, target: Target) -> None:
    target.start("end()").wait()
    eventually(lambda: not {"pod-watch", "log-follow"} & _threads(), _threads, 10)


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}
