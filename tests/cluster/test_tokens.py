# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens of pods that expire: the builder renews them, and pods push with the new ones."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fedpkg_container.box.cluster import kubelet
from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster import renewal
from fedpkg_container.cluster.client import ClusterError
from fedpkg_container.cluster.renewal import PROPAGATION, Issued, RenewedFile
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.cluster.site_manifests import SiteOptions, site_objects
from fedpkg_container.errors import ConfigurationError, RegistryError
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.image.pod_inputs import task_token
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import build_artifact
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.signals import Interrupted
from tests.cluster.conftest import NAMESPACE
from tests.support.cluster.scripted import Run, Target
from tests.support.memory_registry import memory_registry
from tests.support.registries import PASSWORD, access
from tests.support.waiting import eventually

#: Prints each token in the volume of the pod, up to the one with a given number.
TOKENS = """
seen = ""
while seen != "token LAST":
    with open(os.environ["FEDPKG_CONTAINER_INPUT"] + "/auth.json") as file:
        current = file.read()
    if current != seen:
        number += 1
        print(f"{number} {current}", flush=True)
    seen = current
    time.sleep(0.01)
end()
"""
#: Valid for so long that the token is renewed at once, and not again.
AT_ONCE, FOR_LONG = PROPAGATION, 10.0**6


@dataclass
class _Tokens:
    """A token server.

    :param lifetimes: of the tokens; the last one is repeated
    :param errors: of the requests after the first one
    :param run: the build, which must have printed each token before the next one is issued
    """

    lifetimes: list[float]
    errors: list[Exception] = field(default_factory=list)
    issued: int = 0
    run: Run | None = None

    def request(self) -> Issued:
        if self.issued and self.errors:
            raise self.errors.pop(0)
        if self.run and self.issued:
            self.run.eventually_prints(f"token {self.issued}")
        self.issued += 1
        lifetime = self.lifetimes[min(self.issued, len(self.lifetimes)) - 1]
        return Issued(f"token {self.issued}".encode(), lifetime)


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew in fractions of a second, and let the kubelet synchronize in each round; with the role for tokens."""
    simulated = request.getfixturevalue("simulated")
    monkeypatch.setattr(renewal, "MIN_LIFETIME", 0.0)
    monkeypatch.setattr(kubelet, "SYNC_INTERVAL", 0.0)
    simulated.access.rules.clear()
    simulated.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account, task_token=True)))


def _start(target: Target, tokens: _Tokens, last: int, *, restarts: bool = False) -> Run:
    script = TOKENS.replace("LAST", str(last))
    return target.start(script, renewed=RenewedFile("auth.json", tokens.request), restarts=restarts)


def test_a_token_is_renewed_again_and_again(simulated: Cluster, target: Target) -> None:
    tokens = _Tokens([AT_ONCE, AT_ONCE, FOR_LONG])
    tokens.run = run = _start(target, tokens, 3)
    run.wait()
    assert run.error is None
    assert run.text() == ["token 1", "token 2", "token 3"]
    target.nothing_left()


def test_a_token_is_renewed_while_the_pod_waits(simulated: Cluster, target: Target) -> None:
    """A pod that waits for hours starts with a valid token."""
    simulated.chaos.quota = "exceeded quota"
    run = _start(target, _Tokens([AT_ONCE, FOR_LONG]), 2)
    eventually(lambda: ("patch", "secrets") in simulated.requests, lambda: run.log, 30)
    simulated.chaos.quota = ""
    run.wait()
    assert run.text() == ["token 2"]


def test_a_task_that_starts_again_renews_the_token(simulated: Cluster, target: Target) -> None:
    """It does not know how old the token is."""
    tokens = _Tokens([FOR_LONG])
    first = _start(target, tokens, 3, restarts=True)
    first.eventually_prints("token 1")
    first.log.canceled = Interrupted("kojid has died")
    first.wait()
    second = _start(target, tokens, 3).wait()
    assert second.error is None
    assert second.text() == ["token 1", "token 3"]
    assert simulated.requests.count(("create", "jobs")) == 1
    target.nothing_left()


def test_a_token_server_that_is_away_for_a_while(
    simulated: Cluster, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "RETRY", 0.01)
    run = _start(target, _Tokens([AT_ONCE, FOR_LONG], [RegistryError("it is away")] * 3), 2).wait()
    assert run.error is None
    notices = [line for line in run.log.reports if "renew" in line]
    assert notices == ["cannot renew the registry token: it is away"], "once"


def test_the_api_server_is_away_when_a_token_is_due(simulated: Cluster, target: Target) -> None:
    simulated.chaos.unavailable.add(("PATCH", "secrets"))
    run = _start(target, _Tokens([AT_ONCE, FOR_LONG]), 3)
    eventually(lambda: any("waiting for the API server" in line for line in run.log.reports), lambda: run.log, 30)
    simulated.chaos.unavailable.clear()
    run.wait()
    assert run.error is None
    assert run.text()[-1] == "token 3"


def test_tokens_that_cannot_be_renewed_in_time(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "MIN_LIFETIME", 300.0)
    run = _start(target, _Tokens([299.0]), 1).wait()
    assert isinstance(run.error, ConfigurationError)
    assert run.error.reason.startswith("the token for the pod is valid for 299 s, which is too short to renew it")
    target.nothing_left()


def test_a_role_without_the_right(simulated: Cluster, target: Target) -> None:
    simulated.access.rules.clear()
    simulated.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account)))
    run = _start(target, _Tokens([AT_ONCE]), 2).wait()
    assert isinstance(run.error, ClusterError)
    assert 'cannot patch resource "secrets"' in run.error.reason
    assert "fedpkg-container-cluster manifests" in run.error.solution
    target.nothing_left()


def test_the_secret_of_a_pod_without_a_token_is_immutable(simulated: Cluster, target: Target) -> None:
    build = target.build("")
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    owner = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x", "uid": "u"}}
    secret = build.secret(0, owner)
    del secret["metadata"]["ownerReferences"]
    target.client.request("POST", path, body=secret)
    with pytest.raises(ClusterError, match="HTTP 422.*immutable"):
        target.client.request("PATCH", f"{path}/{build.name()}", body={"data": {"auth.json": ""}})


#: Pushes three files; the registry rejects each token after some requests.
PUSHING = """
from pathlib import Path
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry import build_artifact
from fedpkg_container.registry.skopeo import Access, Registry
inputs = Path(os.environ["FEDPKG_CONTAINER_INPUT"])
access = Access(inputs, inputs / "auth.json", renewal_timeout=60.0)
files = {}
for number, kind in enumerate((build_artifact.IMAGE, build_artifact.DOCKERFILE, build_artifact.LOG)):
    files[kind] = Path("DIRECTORY", f"file-{number}")
    files[kind].write_bytes(bytes(100000 + number))
with Registry(access).repository(ImageReference("ADDRESS", "staging/task-7")) as repository:
    end(artifact=build_artifact.push(repository, "result", files))
"""


def test_tokens_that_expire_in_the_middle_of_a_push(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the token server to the registry: requests of a push use tokens that are issued while it runs."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with memory_registry(tmp_path, lifetime=int(PROPAGATION) + 1, uses=3) as server:
        site = tmp_path / "site.conf"
        site.write_text(f"[registry]\ncandidate = {server.address}\n")
        config = replace(read_builder_config(site), access=access(tmp_path, server.address, password=PASSWORD))
        renewed = task_token(config, replace(target.config, task_token=True), "staging/task-7")
        assert config.access.certificates is not None
        files = {path.name: path.read_bytes() for path in config.access.certificates.glob("*.crt")}
        script = PUSHING.replace("ADDRESS", server.address).replace("DIRECTORY", str(tmp_path))
        run = target.start(script, renewed=renewed, files=files).wait()
        assert run.error is None, run.text()
        assert run.result is not None
        with Registry(config.access).repository(ImageReference(server.address, "staging/task-7")) as repository:
            pulled = build_artifact.pull(repository, run.result.message.artifact, tmp_path)
        assert sorted(path.stat().st_size for path in pulled.values()) == [100000, 100001, 100002]
        pushed = {token for method, path, token in server.seen if method in ("POST", "PUT") and token}
        assert len(pushed) > 2, "it needs several tokens"
    target.nothing_left()
