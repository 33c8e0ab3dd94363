# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m benchmarks.cluster [BUILDS]``: API requests of builds in pods, in the simulated cluster.

The pods print a line per second and build nothing: what is measured is the builder's side.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.box.pki import Authority
from fedpkg_container.cluster.client import ClusterClient
from fedpkg_container.cluster.job import ClusterBuild
from fedpkg_container.cluster.manifests import PodBuild
from fedpkg_container.cluster.settings import ClusterConfig, Placement
from fedpkg_container.cluster.site_manifests import BUILDER, SiteOptions, site_objects
from tests.support.cluster.scripted import Recorded, Run, spec

IMAGE, NAMESPACE = "image", "builds"
#: Seconds that a pod runs, besides half a second per build so that all of them run at a time, and of the window in
#: which requests are counted while all pods run.
DURATION, WINDOW = 40, 15.0
SCRIPT = """for n in $(seq SECONDS); do echo "$n line"; sleep 1; done
printf '{"format":1,"records":SECONDS,"artifact":"sha256:0"}' > "$FEDPKG_CONTAINER_MESSAGE"
"""


@dataclass(frozen=True)
class ShellBuild(PodBuild):
    """A build whose pod runs a shell, of which hundreds can run at once.

    :param duration: seconds
    """

    duration: int = DURATION

    def object(self, attempt: int = 0) -> dict[str, Any]:
        """Return the Job."""
        job = super().object(attempt)
        container = job["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["sh", "-c", SCRIPT.replace("SECONDS", str(self.duration))]
        return job


@contextmanager
def _cluster(directory: Path) -> Iterator[tuple[Cluster, ClusterConfig]]:
    authority = Authority(directory / "pki")
    cluster = Cluster(directory / "cluster")
    cluster.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account)))
    cluster.access.grant(BUILDER, "token")
    cluster.kubelet.images[IMAGE] = ["true"]
    token = directory / "token"
    token.write_text("token")
    with cluster.running(authority.issue("kubernetes", server=True)):
        path = cluster.kubeconfig(directory / "kubeconfig", authority.certificate_path, token, NAMESPACE)
        yield cluster, ClusterConfig("kubernetes", NAMESPACE, {"": Placement(IMAGE)}, kubeconfig=path)


def measure(directory: Path, builds: int) -> None:
    """Run builds at once; print their requests, in total and while all of them run."""
    duration = DURATION + builds // 2
    with _cluster(directory) as (cluster, config):
        cluster.controllers.pods_per_node = builds
        hub = f"https://hub.example.org/{uuid.uuid4()}"
        runs = []
        for task_id in range(1, builds + 1):
            build = ShellBuild(task_id, hub, spec(task_id), "", {}, 600, config, duration=duration)
            log = Recorded()
            client = ClusterClient(config.kubeconfig)
            runs.append(Run(ClusterBuild(client, build, log, directory, lambda _: ()), log))
        while not all(run.log.lines or run.error for run in runs):
            time.sleep(0.1)
        before = len(cluster.requests)
        time.sleep(WINDOW)
        during = len(cluster.requests) - before
        for run in runs:
            run.wait(600)
        failed = [run.error for run in runs if run.error]
        complete = sum(len(run.log.lines) == duration for run in runs)
        kinds = Counter(" ".join(each) for each in cluster.requests)
    print(f"{builds} builds: {complete} complete, {len(failed)} failed {failed[:1] or ''}")
    print(f"  requests per build: {sum(kinds.values()) / builds:.1f}")
    print(f"  requests per build and second while all run: {during / builds / WINDOW:.3f}")
    print("  " + ", ".join(f"{name} {count / builds:.2g}" for name, count in sorted(kinds.items())))


def main() -> None:
    """Measure one build, and many."""
    for builds in (1, int(sys.argv[1]) if sys.argv[1:] else 200):
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            measure(Path(directory), builds)


if __name__ == "__main__":
    main()
