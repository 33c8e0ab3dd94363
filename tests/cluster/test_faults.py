# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of pods and of their logs: the outcome of each, and that nothing is left and the next build works."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster.settings import ClusterConfig, Placement, Timeouts
from fedpkg_container.errors import RegistryError
from fedpkg_container.signals import Interrupted
from tests.cluster.conftest import NAMESPACE, with_timeouts
from tests.support.cluster.scripted import COUNTED, COUNTING, FOREVER, Target, failure, pod_of, spec
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("frequent_events", "usable_afterwards")

#: A script that runs for a minute unless the file MARK exists, which it creates.
ONCE = """
report('started')
if not os.path.exists('MARK'):
    open('MARK', 'w')
    time.sleep(60)
end()
"""


def test_out_of_memory(simulated: Cluster, target: Target) -> None:
    run = target.start(FOREVER)
    run.eventually_prints("started")
    simulated.kubelet.oom(pod_of(simulated)[1])
    assert failure(run) == "building the image for x86_64 failed: out of memory (limit: 4Gi)"


def test_evicted_for_its_disk_usage(simulated: Cluster, target: Target) -> None:
    run = target.start(FOREVER)
    run.eventually_prints("started")
    simulated.kubelet.evict(pod_of(simulated)[1], 'Usage of EmptyDir volume "state" exceeds the limit "40Gi".')
    reason = failure(run)
    assert 'Evicted: Usage of EmptyDir volume "state" exceeds the limit' in reason


def test_preempted_once(simulated: Cluster, target: Target) -> None:
    run = target.start(ONCE.replace("MARK", str(target.directory / "mark")))
    run.eventually_prints("started")
    name, _ = pod_of(simulated)
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
    assert "the cluster ended the pod 2 times: preempted" in failure(run)


def _running(cluster: Cluster) -> list[str]:
    pods = cluster.store.list("pods", NAMESPACE)
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    ]


def test_the_node_is_gone(simulated: Cluster, target: Target) -> None:
    run = target.start(ONCE.replace("MARK", str(target.directory / "mark")))
    run.eventually_prints("started")
    name, uid = pod_of(simulated)
    simulated.kubelet.lose_node(uid)
    simulated.kubelet.disrupt(NAMESPACE, name, "DeletionByTaintManager", "the node is unreachable")
    run.wait()
    assert run.error is None


def test_no_node_of_the_architecture(simulated: Cluster, target: Target) -> None:
    config = with_timeouts(target, schedule=1)
    run = target.start("", spec=spec(7, "s390x"), config=config)
    reason = failure(run)
    assert "no node can run the pod: 0/1 nodes are available" in reason
    assert any(report.startswith("waiting: no node can run the pod") for report in run.log.reports)


def test_all_nodes_are_full(simulated: Cluster, target: Target) -> None:
    simulated.controllers.nodes, simulated.controllers.pods_per_node = 2, 1
    runs = [target.start(FOREVER, task_id=number) for number in (7, 8)]
    for run in runs:
        run.eventually_prints("started")
    assert {pod["spec"]["nodeName"] for pod in simulated.store.list("pods", NAMESPACE)} == {"node-1", "node-2"}
    third = target.start("report('started')\nend()", task_id=9)
    wanted = "waiting: no node can run the pod: 0/2 nodes are available: 2 Too many pods."
    eventually(lambda: wanted in third.log.reports, lambda: third.log.reports, 30)
    for run in runs:
        run.log.canceled = Interrupted("the task was canceled")
        run.wait()
    assert third.wait().error is None
    assert third.text() == ["started"]


def test_an_image_that_cannot_be_pulled(simulated: Cluster, target: Target) -> None:
    config = replace(with_timeouts(target, image=1), placements={"": Placement("registry.example.org/other:1")})
    assert 'cannot be pulled: Back-off pulling image "registry.example.org/other:1"' in failure(
        target.start("", config=config)
    )


def test_the_quota_is_exceeded_for_a_while(simulated: Cluster, target: Target) -> None:
    simulated.chaos.quota = "exceeded quota: builds, requested: pods=1, used: pods=20, limited: pods=20"
    run = target.start("report('started')\nend()")
    eventually(lambda: any("quota is used up" in line for line in run.log.reports), lambda: run.log.reports, 30)
    simulated.chaos.quota = ""
    run.wait()
    assert run.error is None


def test_the_quota_is_exceeded_for_too_long(simulated: Cluster, target: Target) -> None:
    simulated.chaos.quota = "exceeded quota: builds"
    reason = failure(target.start("", config=with_timeouts(target, quota=1)))
    simulated.chaos.quota = ""
    assert "the namespace's quota is used up" in reason


def test_admission_refuses_the_pod(simulated: Cluster, target: Target) -> None:
    simulated.chaos.admission = 'violates PodSecurity "baseline:latest": non-default capabilities'
    reason = failure(target.start("", config=with_timeouts(target, admission=1)))
    simulated.chaos.admission = ""
    assert "the cluster refuses the pod" in reason
    assert "PodSecurity" in reason


def test_a_volume_that_cannot_be_mounted(simulated: Cluster, target: Target) -> None:
    """Another client deletes its Secret before the pod starts."""
    simulated.chaos.quota = "exceeded quota"
    run = target.start(FOREVER, config=with_timeouts(target, start=1))
    eventually(lambda: any("quota" in line for line in run.log.reports), lambda: run.log.reports, 30)
    assert target.has_secret(run.build.build.name()), "this deletes it"
    simulated.chaos.quota = ""
    assert failure(run).endswith("did not start: the pod is starting: ContainerCreating (waited for 1 s)")
    assert "waiting: the pod is starting: ContainerCreating" in run.log.reports


def test_the_log_is_cut_again_and_again(simulated: Cluster, target: Target) -> None:
    simulated.chaos.cut_log_after += [3, 7, 1, 20]
    run = target.start(COUNTING).wait()
    assert run.error is None
    assert not simulated.chaos.cut_log_after
    assert run.text() == COUNTED


def _rotate_while_away(simulated: Cluster) -> None:
    """Rotate the log of the pod while the API server is away: the API never has its lines."""
    simulated.chaos.away = True
    output = simulated.kubelet.output(pod_of(simulated)[1])
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
    failure(run)
    lost = [line for line in run.text() if "were lost by the cluster" in line]
    assert len(lost) == 1
    assert run.text()[-1] == "line 59"


def test_the_settings_are_part_of_the_name(target: Target) -> None:
    build = target.build("")
    others: list[ClusterConfig] = [
        replace(target.config, timeouts=Timeouts(start=1)),
        replace(target.config, apparmor="x"),
    ]
    assert len({build.name(), build.name(1), *(replace(build, config=each).name() for each in others)}) == 4


def test_the_complete_log_cannot_be_read(simulated: Cluster, target: Target) -> None:
    """The outcome is that of the build, and the log states what is missing."""

    def unreadable(_: str) -> Iterable[bytes]:
        raise RegistryError("the registry is away")

    script = "report('one')\nnumber += 3\nreport('five')\nend('RUN failed', status=1)"
    run = target.start(script, complete_log=unreadable)
    assert failure(run) == "RUN failed"
    assert run.text() == ["one", "[3 lines of the log were lost by the cluster]", "five"]
    assert "the complete log cannot be read: the registry is away" in run.log.reports
