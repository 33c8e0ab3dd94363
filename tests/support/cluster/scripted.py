# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds whose pod runs a script instead of a build: fast, and with any outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster.client import ClusterClient, ClusterError
from fedpkg_container.cluster.following import PodResult
from fedpkg_container.cluster.job import ClusterBuild, delete_named
from fedpkg_container.cluster.manifests import JOB, PodBuild, hub_labels, selector
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.cluster.streams import pods_path, secrets_path
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.model.build import BuildSpec
from tests.support.waiting import eventually

#: Start of every script: ``report`` prints records, ``end`` writes the termination message.
PRELUDE = """
import json, os, signal, sys, time
number = 0
def report(text):
    global number
    number += 1
    print(f"{number} {text}", flush=True)
def end(error="", artifact="sha256:" + "a" * 64, status=0):
    message = {"format": 1, "records": number, "artifact": artifact, "error": error, "solution": ""}
    with open(os.environ["FEDPKG_CONTAINER_MESSAGE"], "w") as file:
        file.write(json.dumps(message))
    sys.exit(status)
def stop(*_):
    report("stopping")
    end("the pod was stopped", "", 1)
signal.signal(signal.SIGTERM, stop)
"""

#: Scripts: one that runs until it is stopped, and one that prints for three seconds.
FOREVER = "report('started')\nwhile True: time.sleep(0.05)\n"
COUNTING = "for n in range(60): report(f'line {n}'); time.sleep(0.05)\nend()"
COUNTED = [f"line {n}" for n in range(60)]


def spec(task_id: int, arch: str = "x86_64", **changes: Any) -> BuildSpec:
    """A spec that no pod builds."""
    fields: dict[str, Any] = {
        "task_id": task_id, "arch": arch, "source_url": "git+https://example.org/container/x#" + "0" * 40,
        "component": "x-container", "version": "1", "release": "1", "repository_path": "x", "scratch": True,
        "parents": {}, "labels": {}, "yum_repository": "", "staging_repository": f"staging/task-{task_id}",
        "upload_directory": "", "timeout": 600,
    }  # fmt: skip
    return BuildSpec(**{**fields, **changes})


@dataclass(frozen=True)
class ScriptedBuild(PodBuild):
    """A build whose pod runs a script of Python."""

    script: str = ""

    def object(self, attempt: int = 0) -> dict[str, Any]:
        """Return the Job, with the script as its command."""
        job = super().object(attempt)
        container = job["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["python3", "-c", PRELUDE + self.script]
        container["resources"] = {}
        container["securityContext"] = {}
        return job


@dataclass
class Recorded:
    """A log that keeps its lines.

    :param canceled: raise this at the next tick
    """

    reports: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    canceled: BaseException | None = None

    def report(self, text: str) -> None:
        """Keep a line of the engine."""
        self.reports.append(text)

    def append_output(self, text: bytes) -> None:
        """Keep a line of the pod."""
        self.lines.append(text)

    def flush(self) -> None:
        """Raise if canceled."""
        if self.canceled is not None:
            raise self.canceled


@dataclass
class Run:
    """A scripted build in a thread."""

    build: ClusterBuild
    log: Recorded
    thread: threading.Thread = field(init=False)
    result: PodResult | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self.build.run()
            self.build.delete()
        except (FedpkgContainerError, KeyboardInterrupt) as error:
            self.error = error

    def wait(self, seconds: float = 60) -> Run:
        """Wait for the end."""
        self.thread.join(seconds)
        assert not self.thread.is_alive(), (self.log.reports, self.log.lines[-3:])
        return self

    def text(self) -> list[str]:
        """The lines of the pod."""
        return [line.decode() for line in self.log.lines]

    def eventually_prints(self, text: str) -> None:
        """Wait for a line of the pod."""
        eventually(lambda: text.encode() in self.log.lines, lambda: (self.log, self.error), 60)


@dataclass
class Target:
    """A cluster to test with.

    :param image: pod image
    :param hub: URL of the hub in labels: unique per test, so that tests do not see each other's objects
    """

    client: ClusterClient
    config: ClusterConfig
    directory: Path
    hub: str

    def build(self, script: str, task_id: int = 7, **options: Any) -> ScriptedBuild:
        """A build that runs a script."""
        return ScriptedBuild(
            task_id=task_id, hub=self.hub, spec=options.pop("spec", None) or spec(task_id), site="",
            files=options.pop("files", {}), timeout=options.pop("timeout", 600), renewed=options.pop("renewed", None),
            config=options.pop("config", self.config), script=script,
        )  # fmt: skip

    def start(
        self,
        script: str,
        *,
        complete: Iterable[bytes] = (),
        complete_log: Callable[[str], Iterable[bytes]] | None = None,
        restarts: bool = False,
        **options: Any,
    ) -> Run:
        """Start a build in a thread."""
        log = Recorded()
        read = complete_log or (lambda _: complete)
        build = ClusterBuild(self.client, self.build(script, **options), log, self.directory, read, lambda: restarts)
        return Run(build, log)

    def objects(self) -> list[str]:
        """Names of all objects of this test's builds in the cluster."""
        labels = selector(hub_labels(self.hub))
        namespace = self.config.namespace
        found = []
        for path in (JOB.collection(namespace), pods_path(namespace)):
            items = self.client.request("GET", path, query={"labelSelector": labels})["items"]
            found += [item["metadata"]["name"] for item in items]
        return found

    def nothing_left(self) -> None:
        """Assert that soon no object is left; Secrets are found by trying to delete them."""
        eventually(lambda: not self.objects(), self.objects, 30)

    def has_secret(self, name: str) -> bool:
        """Whether a Secret exists, which the engine's account may not read: it is deleted."""
        try:
            self.client.request("DELETE", f"{secrets_path(self.config.namespace)}/{name}")
        except ClusterError as error:
            assert error.status == 404, error.reason
            return False
        return True

    def clean(self) -> None:
        """Delete everything."""
        labels = selector(hub_labels(self.hub))
        path = JOB.collection(self.config.namespace)
        for item in self.client.request("GET", path, query={"labelSelector": labels})["items"]:
            delete_named(self.client, JOB, self.config.namespace, item["metadata"]["name"])


def pod_of(cluster: Cluster) -> tuple[str, str]:
    """Name and UID of the only pod of a cluster, when it exists."""

    def pods() -> list[dict[str, str]]:
        return [found["metadata"] for (resource, *_), found in cluster.store.snapshot() if resource == "pods"]

    eventually(lambda: len(pods()) == 1, pods, 30)
    (pod,) = pods()
    return pod["name"], pod["uid"]


def failure(run: Run) -> str:
    """Reason of the failure of a build, when it has ended."""
    run.wait()
    assert isinstance(run.error, BuildFailedError), run.error
    return run.error.reason
