# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m benchmarks.pods [RUNS [NODES]]``: builds in pods of the simulated cluster beside builds on builders.

The first measurement is a small scratch build, on the builder and in a pod in turn; the base image is in the builder's
store, and the store of a pod is empty. The second are builds that mostly wait, on NODES builders and on as many nodes,
each for two architectures at a time. All of them run on this machine, as root.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.building import SMALL, Workload, furnished, wait
from fedpkg_container.box.box import Box
from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.box.cluster.site import NAMESPACE, builder_settings, make_cluster
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.machines import CAPACITY
from fedpkg_container.hub.session import log_out
from tests.support.packager import Packager
from tests.support.site import site_settings

#: A build that waits, so that builds in parallel do not depend on the number of processors.
WAITING = Workload("a build that waits", ("COPY note /note", "RUN busybox sleep 20"))
#: Architectures that a builder builds at a time, by its capacity, and builds per node.
PER_NODE, BUILDS_PER_NODE = 2, 4
#: Capacity of a builder that only follows pods.
FOLLOWER = 100.0
LOCAL = {"engine": {"kind": "local"}}
Task = dict[str, Any]


@contextmanager
def in_cluster(box: Box, directory: Path, nodes: int = 1) -> Iterator[Cluster]:
    """Have all builds of a box run in the pods of a cluster."""
    cluster = make_cluster(directory / "cluster", box.layout.topdir, "token")
    cluster.controllers.nodes, cluster.controllers.pods_per_node = nodes, PER_NODE
    token = directory / "token"
    token.write_text("token")
    with cluster.running(box.authority.issue("kubernetes", server=True)):
        path = cluster.kubeconfig(directory / "kubeconfig", box.authority.certificate_path, token, NAMESPACE)
        certificates = box.layout.builder(box.layout.builders[0]) / "certs"
        with site_settings(box, builder_settings(path, certificates)):
            yield cluster


def overhead(directory: Path, runs: int) -> None:
    """Build on the builder and in a pod, in turn; print the medians and their ratio."""
    times: list[tuple[float, float]] = []
    with furnished(directory) as box, in_cluster(box, directory) as cluster:
        packager = Packager.make(box, directory)
        for number in range(runs + 1):
            packager.commit(packager.dockerfile(*SMALL.steps), files={"note": str(number)})
            with site_settings(box, LOCAL):
                (alone,) = _build(box, packager, 1)
            (in_pod,) = _build(box, packager, 1)
            times.append((_seconds(alone), _seconds(in_pod)))
        requests = len(cluster.requests) / (runs + 1)
    local, pod = (statistics.median(each[column] for each in times[1:]) for column in range(2))
    print(f"{SMALL.name}: {local:.1f} s on the builder, {pod:.1f} s in a pod: {pod / local:.2f} times")
    print(f"  medians of {runs} runs in turn; {requests:.1f} requests to the API server per build")


def parallel(directory: Path, nodes: int) -> None:
    """Run builds at the same time on builders, and on as many nodes; print the seconds until the last one has ended."""
    builds = BUILDS_PER_NODE * nodes
    with furnished(directory, nodes) as box:
        packager = Packager.make(box, directory)
        packager.commit(packager.dockerfile(*WAITING.steps), files={"note": "x"})
        on_builders = _span(_build(box, packager, builds))
        session = box.session(ADMIN)
        session.editHost(box.layout.builders[0], capacity=FOLLOWER)
        for name in box.layout.builders[1:]:
            session.disableHost(name)
        log_out(session)
        with in_cluster(box, directory, nodes):
            on_nodes = _span(_build(box, packager, builds))
    print(f"{builds} builds of 20 s: {on_builders:.0f} s on {nodes} builders, {on_nodes:.0f} s on {nodes} nodes")
    print(f"  each with {PER_NODE} architectures at a time (capacity {CAPACITY:g})")


def _build(box: Box, packager: Packager, builds: int) -> list[Task]:
    """Submit scratch builds of the newest commit at once; return their tasks when all have ended.

    ``Box.builder`` must not be called meanwhile: it writes the settings of the builders again.
    """
    commit = packager.run("git", "rev-parse", "HEAD").stdout.strip()
    url = f"git+http://127.0.0.1:{box.layout.ports.distgit_anonymous}/container/{packager.name}#{commit}"
    session = box.session(ADMIN)
    options = {"scratch": True, "git_branch": "rawhide"}
    tasks = [session.buildContainer(url, "rawhide-container-candidate", options) for _ in range(builds)]
    ended = [wait(session, task_id) for task_id in tasks]
    log_out(session)
    return ended


def _seconds(task: Task) -> float:
    return float(task["completion_ts"] - task["start_ts"])


def _span(tasks: list[Task]) -> float:
    """Return the seconds from the start of the first task to the end of the last one."""
    return float(max(task["completion_ts"] for task in tasks) - min(task["start_ts"] for task in tasks))


def main() -> None:
    """Measure both."""
    runs, nodes = (int(word) for word in [*sys.argv[1:], "3", "2"][:2])
    for measure, amount in ((overhead, runs), (parallel, nodes)):
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            measure(Path(directory), amount)
    print(f"load of the machine: {' '.join(f'{load:.1f}' for load in os.getloadavg())}, {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
