# SPDX-License-Identifier: GPL-2.0-or-later
"""Cancellation and restart of a task in every phase of its pod: nothing is left, and the next build works."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster import job, manifests
from fedpkg_container.cluster.manifests import JOB
from fedpkg_container.signals import Interrupted
from tests.cluster.conftest import IMAGE, NAMESPACE
from tests.support.cluster.scripted import FOREVER, Target, pod_of, spec
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("frequent_events", "usable_afterwards")


def test_killed_before_the_secret_exists(simulated: Cluster, target: Target) -> None:
    build = target.build("report('started')\nend()")
    target.client.request("POST", JOB.collection(NAMESPACE), body=build.object())
    name, _ = pod_of(simulated)
    eventually(lambda: bool(simulated.store.get("pods", NAMESPACE, name)["status"].get("containerStatuses")), list, 30)
    run = target.start("report('started')\nend()").wait()
    assert run.error is None
    assert run.text() == ["started"]


def test_killed_after_the_pod_has_ended(simulated: Cluster, target: Target) -> None:
    first = target.start("report('started')\ntime.sleep(1)\nend()", restarts=True)
    first.eventually_prints("started")
    first.log.canceled = Interrupted("kojid has died")
    first.wait()
    name, _ = pod_of(simulated)
    eventually(lambda: _phase(simulated, name) == "Succeeded", lambda: _phase(simulated, name), 30)
    second = target.start("report('started')\ntime.sleep(1)\nend()").wait()
    assert second.error is None
    assert second.text() == ["started"]


def _phase(cluster: Cluster, pod: str) -> object:
    return cluster.store.get("pods", NAMESPACE, pod)["status"].get("phase")


def _pending_quota(cluster: Cluster) -> None:
    cluster.chaos.quota = "exceeded quota"


def _pending_image(cluster: Cluster) -> None:
    cluster.chaos.unknown_images.add(IMAGE)


def _pending_admission(cluster: Cluster) -> None:
    cluster.chaos.admission = "violates PodSecurity"


def _without_secret(cluster: Cluster) -> None:
    """The Job exists, and its Secret cannot be created yet."""
    cluster.chaos.unavailable.add(("POST", "secrets"))


def _without_log(cluster: Cluster) -> None:
    """The container has started, or ended, and its log cannot be read."""
    cluster.chaos.unavailable.add(("GET", "pods/log"))


def _nothing(_: Cluster) -> None: ...


ENDING = "report('started')\nend()"


@pytest.mark.parametrize(
    ("prepare", "reported", "script", "arch"),
    [
        (_pending_quota, "quota", FOREVER, "x86_64"),
        (_pending_admission, "refuses", FOREVER, "x86_64"),
        (_nothing, "no node", FOREVER, "s390x"),
        (_without_secret, "waiting for the API server", FOREVER, "x86_64"),
        (_pending_image, "image", FOREVER, "x86_64"),
        (_nothing, "", FOREVER, "x86_64"),
        (_without_log, "waiting for the API server", FOREVER, "x86_64"),
        (_without_log, "waiting for the API server", ENDING, "x86_64"),
    ],
    ids=["no quota", "refused", "no node", "no secret", "no image", "running", "no log", "ended without log"],
)
def test_a_cancel_in_every_phase(
    simulated: Cluster, target: Target, prepare: Callable[[Cluster], None], reported: str, script: str, arch: str
) -> None:
    prepare(simulated)
    run = target.start(script, spec=spec(7, arch))
    if reported:
        eventually(lambda: any(reported in line for line in run.log.reports), lambda: run.log.reports, 30)
    else:
        run.eventually_prints("started")
    began = time.monotonic()
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    assert isinstance(run.error, Interrupted)
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 30)
    assert time.monotonic() - began < manifests.GRACE + 10
    simulated.chaos.quota = simulated.chaos.admission = ""
    simulated.chaos.unknown_images.clear()
    simulated.chaos.unavailable.clear()


def test_a_cancel_while_the_second_pod_starts(simulated: Cluster, target: Target) -> None:
    run = target.start(FOREVER)
    run.eventually_prints("started")
    name, _ = pod_of(simulated)
    simulated.chaos.quota = "exceeded quota"
    simulated.kubelet.disrupt(NAMESPACE, name, "PreemptionByScheduler", "preempted")
    eventually(lambda: any("quota" in line for line in run.log.reports), lambda: run.log.reports, 30)
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    assert isinstance(run.error, Interrupted)
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 30)
    simulated.chaos.quota = ""


def test_a_cancel_of_a_pod_that_ignores_signals(
    simulated: Cluster, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedpkg_container.cluster.manifests.GRACE", 1)
    run = target.start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER)
    run.eventually_prints("started")
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    assert isinstance(run.error, Interrupted)
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 20)


def test_a_cancel_while_the_api_server_is_away(
    simulated: Cluster, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "DELETE_TIMEOUT", 0.1)
    simulated.chaos.away = True
    run = target.start("end()")
    eventually(lambda: bool(run.log.reports), lambda: run.log, 30)
    run.log.canceled = Interrupted("the task was canceled")
    run.wait(30)
    assert isinstance(run.error, Interrupted)
    simulated.chaos.away = False


def test_a_job_of_the_same_name_that_is_being_deleted(simulated: Cluster, target: Target) -> None:
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nreport('started')\ntime.sleep(4)\nend()"
    first = target.start(script)
    first.eventually_prints("started")
    first.log.canceled = Interrupted("the task was canceled")
    first.wait()
    assert target.objects(), "the pod must still run"
    second = target.start(script).wait()
    assert second.error is None
    assert second.text() == ["started"]


def test_a_secret_of_a_job_that_was_deleted(simulated: Cluster, target: Target) -> None:
    build = target.build("report('started')\nend()")
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    secret = build.secret(0, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x", "uid": "gone"}})
    del secret["metadata"]["ownerReferences"]
    target.client.request("POST", path, body=secret)
    run = target.start("report('started')\nend()").wait()
    assert run.error is None
    assert not target.has_secret(build.name())
