# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of ``fedpkg-container-cluster`` with a cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fedpkg_container import __version__, cluster_cli
from fedpkg_container.box.cluster.contained import contained
from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster import manifests
from fedpkg_container.cluster.manifests import JOB, hub_labels
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.cluster.site_manifests import SiteOptions, site_objects
from fedpkg_container.engines.sandbox import interpreter
from tests.cluster.conftest import IMAGE, NAMESPACE
from tests.support.box_hub import RunningHub, running_hub
from tests.support.cluster.scripted import Target
from tests.support.waiting import eventually


@pytest.fixture
def site(target: Target, tmp_path: Path) -> Path:
    """A site file for the simulated cluster."""
    path = tmp_path / "site.conf"
    path.write_text(
        f"""[registry]
candidate = registry.example.org
[engine]
kind = kubernetes
[kubernetes]
kubeconfig = {target.config.kubeconfig}
namespace = {NAMESPACE}
image = {IMAGE}
"""
    )
    return path


def _run(*arguments: str) -> int:
    return cluster_cli.run(cluster_cli.make_parser().parse_args(arguments))


def test_the_manifests(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--config", str(site), "manifests", "--service", "192.0.2.7/32") == 0
    objects = list(YAML(typ="safe").load_all(capsys.readouterr().out))
    assert {each["metadata"].get("namespace", NAMESPACE) for each in objects} == {NAMESPACE}
    assert _run("--config", str(site), "manifests", "--service", "x") == 2


def test_the_manifests_of_a_site_with_tokens(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--config", str(site), "manifests") == 0
    assert "patch" not in capsys.readouterr().out
    site.write_text(site.read_text() + "task_token = yes\n")
    assert _run("--config", str(site), "manifests") == 0
    assert capsys.readouterr().out.count("- patch\n") == 1


def test_the_manifests_for_tekton(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--config", str(site), "manifests", "--tekton") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# The builders of Koji do not start TaskRuns")
    assert [each["kind"] for each in YAML(typ="safe").load_all(printed)][-1] == "Task"


def test_the_log_of_a_command(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--config", str(site), "manifests") == 0
    assert capsys.readouterr().err == ""
    assert _run("--config", str(site), "manifests", "--verbose") == 0
    printed = capsys.readouterr()
    assert printed.err.endswith(f": version {__version__}, command manifests\n")
    assert printed.out.startswith("---\n")


def test_a_site_without_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.conf"
    path.write_text("[registry]\ncandidate = registry.example.org\n")
    assert _run("manifests", "--config", str(path)) == 2
    assert "does not configure a cluster" in capsys.readouterr().err


@pytest.mark.root
def test_a_pod_that_tests_itself(
    site: Path, simulated: Cluster, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.kubelet.images[IMAGE] = [interpreter(), "-m", "fedpkg_container.pod"]
    simulated.kubelet.runtime = contained
    status = _run("check", "--config", str(site), "--json")
    printed = capsys.readouterr()
    assert printed.out, printed.err
    results = json.loads(printed.out)["x86_64"]
    assert results["build"] == "ok isolated by runc, layers as on other builders", results
    assert results["registry"].startswith("failed: registry.example.org "), results
    assert status == 1
    assert {name for name, text in results.items() if text.startswith("ok")} == {*results} - {"registry"}
    assert results["user namespace"] == "ok yes"
    assert results["architecture"] == "ok x86_64"
    assert results["overlay"] == results["network none"] == "ok"
    # The cluster deletes a job after its pods.
    eventually(lambda: not simulated.store.list("jobs", NAMESPACE), lambda: simulated.store.list("jobs", NAMESPACE))


@pytest.mark.root
def test_a_build_of_openshift_that_tests_itself(
    site: Path, simulated: Cluster, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its only writable volume is that of container stores."""
    simulated.access.rules.clear()
    simulated.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account, openshift=True)))
    simulated.kubelet.images[IMAGE] = [interpreter(), "-m", "fedpkg_container.pod"]
    simulated.kubelet.runtime = contained
    site.write_text(site.read_text().replace("kind = kubernetes", "kind = openshift-build"))
    _run("check", "--config", str(site), "--json")
    results = json.loads(capsys.readouterr().out)["x86_64"]
    assert results["build"] == "ok isolated by runc, layers as on other builders", results
    assert results["storage"].startswith("ok "), results
    assert ("create", "builds") in simulated.access.used


#: What fails without each capability of the pod; nothing in this test for KILL, which ends the processes of a worker.
NEEDED = {
    "CHOWN": "build", "DAC_OVERRIDE": "build", "SETGID": "build", "SETPCAP": "build", "SETUID": "build",
    "SYS_ADMIN": "network none", "NET_ADMIN": "network none",
}  # fmt: skip


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("capability", NEEDED)
def test_a_pod_without_a_capability(
    site: Path,
    simulated: Cluster,
    target: Target,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    capability: str,
) -> None:
    for name in ("ROOT_CAPABILITIES", "CAPABILITIES"):
        kept = tuple(each for each in getattr(manifests, name) if each != capability)
        monkeypatch.setattr(manifests, name, kept)
    simulated.kubelet.images[IMAGE] = [interpreter(), "-m", "fedpkg_container.pod"]
    simulated.kubelet.runtime = contained
    assert _run("check", "--config", str(site), "--json") == 1
    results = json.loads(capsys.readouterr().out)["x86_64"]
    assert results[NEEDED[capability]].startswith("failed: "), results
    assert results["build"].startswith("failed: "), results


def test_the_capabilities_are_all_tested() -> None:
    assert {*NEEDED, "KILL"} == {*manifests.ROOT_CAPABILITIES, *manifests.CAPABILITIES}


def test_a_pod_that_cannot_build(
    site: Path, simulated: Cluster, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    script = 'import json,os; print(json.dumps({"build": "failed: no"})); '
    script += 'open(os.environ["FEDPKG_CONTAINER_MESSAGE"],"w").write(\'{"format":1,"records":0,"artifact":"check"}\')'
    simulated.kubelet.images[IMAGE] = [sys.executable, "-c", script]
    assert _run("check", "--config", str(site)) == 1
    assert capsys.readouterr().out == "x86_64 build: failed: no\n"


def test_an_architecture_without_nodes(
    site: Path, simulated: Cluster, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    script = 'import os; print(\'{"build": "ok"}\'); '
    script += 'open(os.environ["FEDPKG_CONTAINER_MESSAGE"],"w").write(\'{"format":1,"records":0,"artifact":"check"}\')'
    simulated.kubelet.images[IMAGE] = [sys.executable, "-c", script]
    site.write_text(site.read_text() + "schedule_timeout = 1\n[kubernetes s390x]\ncpu = 1\n")
    assert _run("check", "--config", str(site)) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "x86_64 build: ok"
    assert second.startswith("s390x pod: failed: the pod fedpkg-container-0-s390x-")
    assert "no node can run the pod" in second


def test_what_a_pod_without_results_prints(
    site: Path, simulated: Cluster, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.kubelet.images[IMAGE] = [sys.executable, "-c", "raise ValueError('no such \x1b[1mmodule')"]
    assert _run("check", "--config", str(site)) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("x86_64 pod: failed: the pod for x86_64 ended with exit status 1 without a result")
    assert "ValueError: no such" in printed.err
    assert "\x1b" not in printed.err


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A hub without tasks."""
    with running_hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


def test_leftovers_of_tasks_that_the_hub_does_not_know(
    site: Path, simulated: Cluster, target: Target, hub: RunningHub, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", hub.ca)
    job = target.build("", 12345).object()
    job["metadata"]["labels"].update(hub_labels(hub.url))
    target.client.request("POST", JOB.collection(NAMESPACE), body=job)
    arguments = ("prune", "--config", str(site), "--hub", hub.url)
    assert _run(*arguments) == 0
    assert capsys.readouterr().out == ""
    assert _run(*arguments, "--min-age", "0") == 0
    assert capsys.readouterr().out == f"deleted {job['metadata']['name']}\n"
