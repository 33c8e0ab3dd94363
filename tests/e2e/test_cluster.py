# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds in pods of the simulated cluster, through the box: the same steps, result and log as on a builder."""

from __future__ import annotations

import json
import os
import re
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import koji
import pytest

from fedpkg_container import cluster_cli
from fedpkg_container.box.box import Box
from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.box.cluster.site import NAMESPACE, builder_settings, make_cluster
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.model.pod import BLOB_CACHE, INPUT_DIRECTORY, MESSAGE_PATH, STATE_DIRECTORY, TOPDIR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from tests.support.access_log import AccessLog
from tests.support.cluster.scripted import pod_of
from tests.support.cluster.validation import validate
from tests.support.leftovers import eventually, nothing_left, registry_of
from tests.support.packager import Packager, pull_specs
from tests.support.site import FILE, site_settings
from tests.support.steps import kill_for_good, restart, submit, task_processes, wait_for_line

pytestmark = pytest.mark.root


@pytest.fixture
def cluster(box: Box, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster in which all builds of the box run."""
    made = make_cluster(tmp_path / "cluster", box.layout.topdir, "token")
    made.validate = validate
    made.kubelet.claims["bases"] = tmp_path / "bases"
    made.kubelet.claims["bases"].mkdir()
    token = tmp_path / "token"
    token.write_text("token")
    with made.running(box.authority.issue("kubernetes", server=True)):
        path = made.kubeconfig(tmp_path / "kubeconfig", box.authority.certificate_path, token, NAMESPACE)
        certificates = box.layout.builder(box.layout.builders[0]) / "certs"
        settings = builder_settings(path, certificates)
        settings["kubernetes"]["base_images"] = "claim:bases"
        with site_settings(box, settings):
            yield made


def _log(box: Box, task_id: int) -> str:
    session = box.session(ADMIN)
    child = session.getTaskChildren(task_id)[0]["id"]
    text: str = session.downloadTaskOutput(child, "x86_64.log").decode()
    session.logout()
    return text


def _diff_ids(box: Box, output: str) -> list[str]:
    """Layers of the image that a scratch build printed."""
    image = ImageReference.parse(pull_specs(output)[-1])
    registry = registry_of(box)
    with registry.repository(image) as repository:
        manifest = repository.manifest(image.digest)
        member = image.at(manifest.members[0]["digest"]) if manifest.is_index else image
    layers: list[str] = registry.configuration(member)["rootfs"]["diff_ids"]
    return layers


def _nothing_in(cluster: Cluster) -> None:
    """Assert that soon no object is left in the cluster."""
    eventually(lambda: not cluster.store.objects, lambda: list(cluster.store.objects), 30)


def test_a_build_in_a_pod(packager: Packager, box: Box, cluster: Cluster) -> None:
    hidden = " && ".join(f"test ! -e {path}" for path in (INPUT_DIRECTORY, STATE_DIRECTORY, TOPDIR, MESSAGE_PATH))
    alone = "test $(busybox grep -c : /proc/net/dev) = 1"  # network none: loopback is the only interface
    run = f"RUN {hidden} && ! env | busybox grep FEDPKG_CONTAINER && {alone} && echo printed-by-run"
    packager.commit(packager.dockerfile(run, release="1"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    log = _log(box, int(re.search(r"task:? (\d+)", done.stdout)[1]))  # type: ignore[index]
    assert log.count("\nprinted-by-run\n") == 1, log
    nothing_left(box)
    _nothing_in(cluster)
    session = box.session(ADMIN)
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    archives = session.listArchives(build["id"])
    session.logout()
    names = {archive["filename"] for archive in archives}
    assert f"{build['nvr']}.x86_64.tar.gz" in names
    stored = Path(koji.PathInfo(str(box.layout.topdir)).imagebuild(build)) / f"{build['nvr']}.x86_64.tar.gz"
    with tarfile.open(stored) as archive:
        described = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        assert set(described[0]["Layers"]) < set(archive.getnames())
    assert cluster.access.used == {
        ("list", "jobs"), ("create", "jobs"), ("create", "secrets"), ("list", "pods"), ("watch", "pods"),
        ("get", "pods/log"), ("delete", "jobs"), ("delete", "secrets"),
    }  # fmt: skip


def _seconds(box: Box, output: str) -> float:
    """How long the task of the architecture of a printed build ran."""
    session = box.session(ADMIN)
    (child,) = session.getTaskChildren(int(re.search(r"task:? (\d+)", output)[1]))  # type: ignore[index]
    session.logout()
    return round(float(child["completion_ts"]) - float(child["start_ts"]), 1)


@pytest.mark.slow
def test_the_layers_are_those_of_a_builder(
    packager: Packager, box: Box, cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    packager.commit(packager.dockerfile("RUN mkdir -p /a/b; echo x > /a/b/c; busybox chown 1000:1000 /a/b/c"))
    certificates = box.layout.builder(box.layout.builders[0]) / "certs"
    bases = f"oci:{cluster.kubelet.claims['bases']}:base"
    run(["skopeo", "copy", "--quiet", "--src-cert-dir", certificates, f"docker://{packager.base}", bases], timeout=60)
    base = ImageReference.parse(packager.base)
    with registry_of(box).repository(base) as repository:
        (member,) = repository.manifest(base.tag).manifests
        _, *layers = repository.manifest(member.digest).blobs
    log = AccessLog(box.layout.registry / "front" / "access.log")
    log.forget()
    in_pod = packager.build("--scratch")
    assert in_pod.returncode == 0, in_pod.stdout + in_pod.stderr
    assert ("create", "jobs") in cluster.access.used
    paths = {f"/v2/demo-base/blobs/{layer.digest}" for layer in layers}
    fetched = [each for each in log.requests() if each.path in paths]
    assert log.requests(), "the log is written"
    assert fetched == [], "layers of the base image are in the volume"
    with site_settings(box, {"engine": {"kind": "local"}}):
        on_builder = packager.build("--scratch")
    assert on_builder.returncode == 0, on_builder.stdout + on_builder.stderr
    assert _diff_ids(box, in_pod.stdout) == _diff_ids(box, on_builder.stdout)
    record_property("seconds_in_pod", _seconds(box, in_pod.stdout))
    record_property("seconds_on_builder", _seconds(box, on_builder.stdout))
    _nothing_in(cluster)


def test_a_run_that_fails(packager: Packager, box: Box, cluster: Cluster) -> None:
    packager.commit(packager.dockerfile("RUN echo before; exit 7"))
    done = packager.build("--scratch")
    assert done.returncode == 1
    assert "exit 7" in done.stderr, done.stderr
    nothing_left(box)
    _nothing_in(cluster)


@pytest.mark.slow
def test_a_cancel_in_a_pod(packager: Packager, box: Box, cluster: Cluster) -> None:
    packager.commit(packager.dockerfile("RUN echo forked; sleep 1009"))
    task_id = submit(packager, "--scratch")
    wait_for_line(box, task_id, "\nforked")
    session = box.session(ADMIN)
    session.cancelTask(task_id)
    session.logout()
    nothing_left(box)
    _nothing_in(cluster)


def _await_built(packager: Packager, box: Box, task_id: int) -> None:
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskDescendents(task_id)),
    )
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    session.logout()
    assert build["state"] == koji.BUILD_STATES["COMPLETE"]
    nothing_left(box)


@pytest.mark.slow
def test_a_pod_that_is_killed_frees_the_nvr(packager: Packager, box: Box, cluster: Cluster) -> None:
    packager.commit(packager.dockerfile("RUN echo forked; sleep 1009", release="1"))
    task_id = submit(packager)
    wait_for_line(box, task_id, "\nforked")
    cluster.kubelet.oom(pod_of(cluster)[1])
    session = box.session(ADMIN)
    failed = koji.TASK_STATES["FAILED"]
    eventually(lambda: session.getTaskInfo(task_id)["state"] == failed, lambda: session.getTaskInfo(task_id))
    session.logout()
    assert "out of memory (limit: 4Gi)" in packager.run("fedpkg", "container-status", str(task_id)).stdout
    nothing_left(box)
    _nothing_in(cluster)
    packager.commit(packager.dockerfile("RUN echo done", release="1"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    session = box.session(ADMIN)
    assert session.getBuild(f"{packager.name}-container-1.0-1")["state"] == koji.BUILD_STATES["COMPLETE"]
    session.logout()
    _nothing_in(cluster)


@pytest.mark.slow
def test_a_handler_that_is_killed_continues_with_its_pod(packager: Packager, box: Box, cluster: Cluster) -> None:
    packager.commit(packager.dockerfile("RUN echo forked; sleep 12; echo finished", release="1"))
    task_id = submit(packager)
    child = wait_for_line(box, task_id, "\nforked")
    for pid in task_processes(box, child):
        os.kill(pid, signal.SIGKILL)
    _await_built(packager, box, task_id)
    log = _log(box, task_id)
    assert (log.count("\nforked\n"), log.count("\nfinished\n")) == (1, 1)
    assert "of an earlier run of this task" in log
    assert cluster.requests.count(("create", "jobs")) == 1
    _nothing_in(cluster)


@pytest.mark.slow
def test_a_builder_that_is_killed_with_all_tasks(packager: Packager, box: Box, cluster: Cluster) -> None:
    """The task of the build cancels its children when it starts again: the pod of the canceled one is deleted."""
    session = box.session(ADMIN)
    session.disableHost("builder-2")
    try:
        packager.commit(packager.dockerfile("RUN echo forked; sleep 12", release="1"))
        task_id = submit(packager)
        wait_for_line(box, task_id, "\nforked")
        kill_for_good(box.builder("builder-1"))
        session.enableHost("builder-2")
        _await_built(packager, box, task_id)
    finally:
        session.enableHost("builder-2")
        restart(box)
    assert cluster.requests.count(("create", "jobs")) == 2
    _nothing_in(cluster)


def test_a_pod_that_waits(packager: Packager, box: Box, cluster: Cluster) -> None:
    cluster.chaos.quota = "exceeded quota: builds, used: pods=20, limited: pods=20"
    packager.commit(packager.dockerfile("RUN true"))
    task_id = submit(packager, "--scratch")
    child = wait_for_line(box, task_id, "\nwaiting: the namespace's quota is used up")
    shown = packager.run("fedpkg", "container-status", str(task_id)).stdout
    assert "waits because the namespace's quota is used up: Error creating" in shown
    fields = json.loads(packager.run("fedpkg", "container-status", "--json", str(task_id)).stdout)
    assert [each["task_id"] for each in fields["waiting"]] == [child]
    session = box.session(ADMIN)
    session.cancelTask(task_id)
    session.logout()
    _nothing_in(cluster)
    nothing_left(box)


@pytest.mark.slow
def test_a_pod_that_tests_itself(box: Box, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    site = box.layout.builder(box.layout.builders[0]) / FILE
    status = cluster_cli.run(cluster_cli.make_parser().parse_args(["check", "--json", "--config", str(site)]))
    results = json.loads(capsys.readouterr().out)["x86_64"]
    assert status == 0, results
    assert results["registry"] == f"ok {box.layout.registry_address}"
    assert results["topdir"].startswith(f"ok {TOPDIR} has ")
    assert results["base images"] == f"ok {BLOB_CACHE} has 0 entries"
    _nothing_in(cluster)
