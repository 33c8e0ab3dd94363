# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of a cluster: the outcome of each, and that nothing is left and the next build works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.box.pki import Authority
from fedpkg_container.cluster import following, job
from fedpkg_container.cluster.client import ClusterClient, ClusterError, ClusterUnavailableError
from fedpkg_container.cluster.manifests import JOB
from fedpkg_container.cluster.settings import ClusterConfig, Placement, Timeouts
from fedpkg_container.cluster.site_manifests import BUILDER
from fedpkg_container.cluster.sweeper import leftovers, sweep
from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.signals import Interrupted
from tests.cluster.conftest import IMAGE, NAMESPACE, with_timeouts
from tests.support.cluster.scripted import Run, Target, spec
from tests.support.waiting import eventually

FOREVER = "say('started')\nwhile True: time.sleep(0.05)\n"
COUNTING = "for n in range(60): say(f'line {n}'); time.sleep(0.05)\nend()"
COUNTED = [f"line {n}" for n in range(60)]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for events more often than every ten seconds."""
    monkeypatch.setattr(following, "EVENTS_INTERVAL", 0.2)


@pytest.fixture(autouse=True)
def _usable_afterwards(target: Target) -> object:
    """After each fault nothing is left, and the next build of the task works."""
    yield
    target.nothing_left()
    run = target.start("say('next')\nend()").wait()
    assert run.text() == ["next"]
    assert run.error is None
    target.nothing_left()


def _pod(cluster: Cluster) -> tuple[str, str]:
    """Name and UID of the only pod."""
    eventually(lambda: len(cluster.store.list("pods", NAMESPACE)) == 1, lambda: list(cluster.store.objects), 30)
    found = cluster.store.list("pods", NAMESPACE)[0]["metadata"]
    return found["name"], found["uid"]


def _failure(run: Run) -> str:
    run.wait()
    assert isinstance(run.error, BuildFailedError), run.error
    return run.error.reason


def test_out_of_memory(simulated: Cluster, target: Target) -> None:
    run = target.start(FOREVER)
    run.eventually_prints("started")
    simulated.kubelet.oom(_pod(simulated)[1])
    assert _failure(run) == "building the image for x86_64 failed: out of memory (limit: 4Gi)"


def test_evicted_for_its_disk_usage(simulated: Cluster, target: Target) -> None:
    run = target.start(FOREVER)
    run.eventually_prints("started")
    simulated.kubelet.evict(_pod(simulated)[1], 'Usage of EmptyDir volume "state" exceeds the limit "40Gi".')
    reason = _failure(run)
    assert 'Evicted: Usage of EmptyDir volume "state" exceeds the limit' in reason


def test_preempted_once(simulated: Cluster, target: Target) -> None:
    run = target.start("say('started')\nif not os.path.exists('{0}'):\n    open('{0}', 'w')\n    time.sleep(60)\nend()"
                       .replace("{0}", str(target.folder / "mark")))  # fmt: skip
    run.eventually_prints("started")
    name, _ = _pod(simulated)
    simulated.kubelet.disrupt(NAMESPACE, name, "PreemptionByScheduler", "preempted by a pod of higher priority")
    run.wait()
    assert run.error is None
    assert any("starting another one" in report for report in run.log.reports)
    assert run.text()[-1] == "started"


def test_preempted_twice(simulated: Cluster, target: Target) -> None:
    run = target.start(FOREVER)
    for _ in range(2):
        eventually(lambda: bool(_running(simulated)), lambda: run.log.reports, 30)
        name = _running(simulated)[0]
        simulated.kubelet.disrupt(NAMESPACE, name, "PreemptionByScheduler", "preempted")
        eventually(lambda name=name: name not in _running(simulated), lambda: run.log.reports, 30)  # type: ignore[misc]
    assert "the cluster ended the pod 2 times: preempted" in _failure(run)


def _running(cluster: Cluster) -> list[str]:
    pods = cluster.store.list("pods", NAMESPACE)
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    ]


def test_the_node_is_gone(simulated: Cluster, target: Target) -> None:
    run = target.start("say('started')\nif not os.path.exists('{0}'):\n    open('{0}', 'w')\n    time.sleep(60)\nend()"
                       .replace("{0}", str(target.folder / "mark")))  # fmt: skip
    run.eventually_prints("started")
    name, uid = _pod(simulated)
    simulated.kubelet.lose_node(uid)
    simulated.kubelet.disrupt(NAMESPACE, name, "DeletionByTaintManager", "the node is unreachable")
    run.wait()
    assert run.error is None


def test_no_node_of_the_architecture(simulated: Cluster, target: Target) -> None:
    config = with_timeouts(target, schedule=1)
    run = target.start("", spec=spec(7, "s390x"), config=config)
    reason = _failure(run)
    assert "no node can run the pod: 0/1 nodes are available" in reason
    assert any(report.startswith("waiting: no node can run the pod") for report in run.log.reports)


def test_an_image_that_cannot_be_pulled(simulated: Cluster, target: Target) -> None:
    config = replace(with_timeouts(target, image=1), placements={"": Placement("registry.example.org/other:1")})
    assert 'cannot be pulled: Back-off pulling image "registry.example.org/other:1"' in _failure(
        target.start("", config=config)
    )


def test_the_quota_is_exceeded_for_a_while(simulated: Cluster, target: Target) -> None:
    simulated.chaos.quota = "exceeded quota: builds, requested: pods=1, used: pods=20, limited: pods=20"
    run = target.start("say('started')\nend()")
    eventually(lambda: any("quota is used up" in line for line in run.log.reports), lambda: run.log.reports, 30)
    simulated.chaos.quota = ""
    run.wait()
    assert run.error is None


def test_the_quota_is_exceeded_for_too_long(simulated: Cluster, target: Target) -> None:
    simulated.chaos.quota = "exceeded quota: builds"
    reason = _failure(target.start("", config=with_timeouts(target, quota=1)))
    simulated.chaos.quota = ""
    assert "the namespace's quota is used up" in reason


def test_admission_refuses_the_pod(simulated: Cluster, target: Target) -> None:
    simulated.chaos.admission = 'violates PodSecurity "baseline:latest": non-default capabilities'
    reason = _failure(target.start("", config=with_timeouts(target, admission=1)))
    simulated.chaos.admission = ""
    assert "the cluster refuses the pod" in reason
    assert "PodSecurity" in reason


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


def test_the_log_is_cut_again_and_again(simulated: Cluster, target: Target) -> None:
    simulated.chaos.cut_log_after += [3, 7, 1, 20]
    run = target.start(COUNTING).wait()
    assert run.error is None
    assert not simulated.chaos.cut_log_after
    assert run.text() == COUNTED


def _rotate_while_away(simulated: Cluster) -> None:
    """Rotate the log of the pod while the API server is away: the API never has its lines."""
    simulated.chaos.away = True
    output = simulated.kubelet.output(_pod(simulated)[1])
    assert output is not None
    eventually(lambda: len(output.lines) > 30, lambda: output.lines, 30)
    output.rotate()
    simulated.chaos.away = False


def test_the_log_is_rotated_while_the_connection_is_lost(simulated: Cluster, target: Target) -> None:
    """Lines that were rotated away are only in the artifact; what follows them waits for it."""
    complete = [f"{n + 1} line {n}".encode() for n in range(60)]
    run = target.start(COUNTING, complete=complete)
    run.eventually_prints("line 5")
    _rotate_while_away(simulated)
    run.wait()
    assert run.error is None
    assert run.text() == COUNTED


def test_lines_that_are_nowhere(simulated: Cluster, target: Target) -> None:
    run = target.start(COUNTING.replace("end()", "sys.exit(1)"))
    run.eventually_prints("line 5")
    _rotate_while_away(simulated)
    _failure(run)
    lost = [line for line in run.text() if "were lost by the cluster" in line]
    assert len(lost) == 1
    assert run.text()[-1] == "line 59"


def test_the_token_expires_and_is_rotated(simulated: Cluster, target: Target) -> None:
    run = target.start(COUNTING)
    run.eventually_prints("line 5")
    simulated.access.tokens.clear()
    simulated.access.grant(BUILDER, "new-token")
    (target.folder / "token").write_text("new-token")
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
    (target.folder / "token").write_text("new-token")
    run.wait()
    assert run.error is None
    assert run.text() == COUNTED


@pytest.mark.parametrize(("method", "resource"), [("POST", "jobs"), ("POST", "secrets"), ("DELETE", "jobs")])
def test_a_response_is_lost(simulated: Cluster, target: Target, method: str, resource: str) -> None:
    simulated.chaos.lost_responses.append((method, resource))
    run = target.start("say('started')\nend()").wait()
    assert run.error is None
    assert not simulated.chaos.lost_responses
    assert run.text() == ["started"]


def test_killed_before_the_secret_exists(simulated: Cluster, target: Target) -> None:
    build = target.build("say('started')\nend()")
    target.client.request("POST", JOB.collection(NAMESPACE), body=build.object())
    name, _ = _pod(simulated)
    eventually(lambda: bool(simulated.store.get("pods", NAMESPACE, name)["status"].get("containerStatuses")), list, 30)
    run = target.start("say('started')\nend()").wait()
    assert run.error is None
    assert run.text() == ["started"]


def test_killed_after_the_pod_has_ended(simulated: Cluster, target: Target) -> None:
    first = target.start("say('started')\ntime.sleep(1)\nend()", restarts=True)
    first.eventually_prints("started")
    first.log.canceled = Interrupted("kojid has died")
    first.wait()
    name, _ = _pod(simulated)
    eventually(lambda: _phase(simulated, name) == "Succeeded", lambda: _phase(simulated, name), 30)
    second = target.start("say('started')\ntime.sleep(1)\nend()").wait()
    assert second.error is None
    assert second.text() == ["started"]


def _phase(cluster: Cluster, pod: str) -> object:
    return cluster.store.get("pods", NAMESPACE, pod)["status"].get("phase")


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def _pending_quota(cluster: Cluster) -> None:
    cluster.chaos.quota = "exceeded quota"


def _pending_image(cluster: Cluster) -> None:
    cluster.chaos.unknown_images.add(IMAGE)


def _nothing(_: Cluster) -> None: ...


@pytest.mark.parametrize(
    ("prepare", "reported"),
    [(_pending_quota, "quota"), (_pending_image, "image"), (_nothing, "")],
    ids=["no pod", "no image", "running"],
)
def test_a_cancel_in_every_phase(
    simulated: Cluster, target: Target, prepare: Callable[[Cluster], None], reported: str
) -> None:
    prepare(simulated)
    run = target.start(FOREVER)
    if reported:
        eventually(lambda: any(reported in line for line in run.log.reports), lambda: run.log.reports, 30)
    else:
        run.eventually_prints("started")
    began = time.monotonic()
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    assert isinstance(run.error, Interrupted)
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 30)
    assert time.monotonic() - began < 30
    simulated.chaos.quota = ""
    simulated.chaos.unknown_images.clear()


def test_a_cancel_of_a_pod_that_ignores_signals(
    simulated: Cluster, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedpkg_container.cluster.manifests.GRACE", 1)
    run = target.start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER)
    run.eventually_prints("started")
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 20)


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


def test_the_settings_are_part_of_the_name(target: Target) -> None:
    build = target.build("")
    others: list[ClusterConfig] = [
        replace(target.config, timeouts=Timeouts(start=1)),
        replace(target.config, apparmor="x"),
    ]
    assert len({build.name(), build.name(1), *(replace(build, config=each).name() for each in others)}) == 4


def test_a_job_of_the_same_name_that_is_being_deleted(simulated: Cluster, target: Target) -> None:
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('started')\ntime.sleep(4)\nend()"
    first = target.start(script)
    first.eventually_prints("started")
    first.log.canceled = Interrupted("the task was canceled")
    first.wait()
    assert target.objects(), "the pod must still run"
    second = target.start(script).wait()
    assert second.error is None
    assert second.text() == ["started"]


def test_a_secret_of_a_job_that_was_deleted(simulated: Cluster, target: Target) -> None:
    build = target.build("say('started')\nend()")
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    secret = build.secret(0, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x", "uid": "gone"}})
    del secret["metadata"]["ownerReferences"]
    target.client.request("POST", path, body=secret)
    run = target.start("say('started')\nend()").wait()
    assert run.error is None
    assert not target.has_secret(build.name())


@pytest.mark.parametrize("fault", ["away", "token"])
def test_the_api_server_is_away_at_the_start(simulated: Cluster, target: Target, fault: str) -> None:
    simulated.chaos.away = fault == "away"
    if fault == "token":
        simulated.access.tokens.clear()
    run = target.start("say('started')\nend()")
    eventually(lambda: any("waiting for the API server" in line for line in run.log.reports), lambda: run.log, 30)
    simulated.chaos.away = False
    simulated.access.grant(BUILDER, "builder-token")
    run.wait()
    assert run.error is None
    assert run.text() == ["started"]


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


def test_the_complete_log_cannot_be_read(simulated: Cluster, target: Target) -> None:
    """The outcome is that of the build, and the log states what is missing."""

    def unreadable(_: str) -> Iterable[bytes]:
        raise RegistryError("the registry is away")

    script = "say('one')\nnumber += 3\nsay('five')\nend('RUN failed', status=1)"
    run = target.start(script, complete_log=unreadable)
    assert _failure(run) == "RUN failed"
    assert run.text() == ["one", "[3 lines of the log were lost by the cluster]", "five"]
    assert "the complete log cannot be read: the registry is away" in run.log.reports
