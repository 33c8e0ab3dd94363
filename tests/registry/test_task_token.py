# SPDX-License-Identifier: GPL-2.0-or-later
"""The token of a pod: it can push to its staging repository and read its base images, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.cluster.renewal import Issued
from fedpkg_container.cluster.settings import ClusterConfig, Placement
from fedpkg_container.errors import ConfigurationError, RegistryError
from fedpkg_container.image.config import BuilderConfig, read_builder_config
from fedpkg_container.image.pod_inputs import pod_files, task_token
from fedpkg_container.model.pod import AUTH_FILE
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.auth import TokenCache
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support.memory_registry import Fault, MemoryRegistry, memory_registry
from tests.support.pushing import image
from tests.support.registries import PASSWORD, access
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs

CLUSTER = ClusterConfig("kubernetes", "builds", {"": Placement("image")}, task_token=True)
STAGING, HOUR = "staging/task-7", 3600


def _config(directory: Path, server: MemoryRegistry) -> BuilderConfig:
    path = directory / "builder.conf"
    path.write_text(f"[registry]\ncandidate = {server.address}\n")
    return replace(read_builder_config(path), access=access(directory, server.address, password=PASSWORD))


def _access(directory: Path, config: BuilderConfig, token: bytes) -> Access:
    """Access to the registry as a pod has it."""
    auth_file = directory / "pod.json"
    auth_file.write_bytes(token)
    return replace(config.access, auth_file=auth_file)


def _issued(config: BuilderConfig, cluster: ClusterConfig = CLUSTER, parents: Iterable[str] = ()) -> Issued:
    file = task_token(config, cluster, STAGING, parents)
    assert file is not None
    assert file.name == AUTH_FILE
    return file.issue()


def _replace(path: Path, content: bytes) -> None:
    """Replace a file as a kubelet does: readers see the old content or the new one."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def test_what_a_token_allows(tmp_path: Path) -> None:
    with memory_registry(tmp_path, lifetime=HOUR) as server:
        config = _config(tmp_path, server)
        reference = ImageReference(server.address, "base", tag="latest")
        with Registry(config.access).repository(reference) as repository:
            base = reference.at(image(repository, "base", "latest").digest)
        issued = _issued(config, parents=[str(base), "other.example.org/x@sha256:" + "1" * 64])
        assert issued.lifetime == HOUR
        assert "token" not in repr(issued)
        server.seen.clear()
        registry = Registry(_access(tmp_path, config, issued.content))
        assert registry.manifest(base).digest == base.digest
        with registry.repository(ImageReference(server.address, STAGING)) as repository:
            image(repository, "built", "result")
        assert server[STAGING].tags == ["result"]
        for other, pushed in ((STAGING.replace("7", "8"), True), ("base", True), ("other", False)):
            with registry.repository(ImageReference(server.address, other)) as repository:
                with pytest.raises(RegistryError, match="401"):
                    image(repository, "x", "x") if pushed else repository.manifest("latest")
        assert server.asked("/token") == 0, "the pod needs no credentials"
        token = json.loads(issued.content)["auths"][server.address]["registrytoken"]
        assert {authorization for *_, authorization in server.seen} == {"", f"Bearer {token}"}


def test_a_token_that_expires_too_early(tmp_path: Path) -> None:
    with memory_registry(tmp_path) as server, pytest.raises(ConfigurationError, match=r"valid for 60 s, which is too"):
        _issued(_config(tmp_path, server))


def test_a_registry_without_tokens(tmp_path: Path) -> None:
    with memory_registry(tmp_path, token=False) as server:
        with pytest.raises(RegistryError, match="has no token server"):
            _issued(_config(tmp_path, server))


def test_credentials_for_the_token(tmp_path: Path) -> None:
    """Those of ``[kubernetes] auth_file`` are used before the builder's own, and do not enter the pod."""
    with memory_registry(tmp_path, lifetime=HOUR) as server:
        config = _config(tmp_path, server)
        wrong = tmp_path / "wrong.json"
        wrong.write_text(json.dumps({"auths": {server.address: {"auth": "dTp3cm9uZw=="}}}))
        cluster = replace(CLUSTER, auth_file=wrong)
        assert AUTH_FILE not in pod_files(config, cluster, "")
        with pytest.raises(RegistryError, match="issued no token"):
            _issued(config, cluster)
        assert task_token(config, replace(cluster, task_token=False), STAGING) is None


def test_a_token_is_replaced_in_the_middle_of_a_push(tmp_path: Path) -> None:
    """The registry rejects the first token after the start of the push; the file has the next one some time later."""
    with memory_registry(tmp_path, lifetime=HOUR, uses=4) as server, ThreadPoolExecutor(1) as executor:
        config = _config(tmp_path, server)
        first, second = _issued(config).content, _issued(config).content
        pod = replace(_access(tmp_path, config, first), renewal_timeout=60.0)

        def renew() -> None:
            eventually(lambda: server.rejected > 0, lambda: server.seen, 60)
            assert pod.auth_file is not None
            server.expire(json.loads(first)["auths"][server.address]["registrytoken"])
            _replace(pod.auth_file, second)

        renewed = executor.submit(renew)
        with Registry(pod).repository(ImageReference(server.address, STAGING)) as repository:
            image(repository, "built", "result")
        renewed.result()
        assert server[STAGING].tags == ["result"]


def test_a_token_is_replaced_before_its_refusal_is_handled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry has rejected the first token twice, and the file has the next one when it is read again."""
    with memory_registry(tmp_path, lifetime=HOUR) as server:
        config = _config(tmp_path, server)
        reference = ImageReference(server.address, STAGING, tag="result")
        with Registry(config.access).repository(reference) as repository:
            digest = image(repository, "built", "result").digest
        first, second = _issued(config).content, _issued(config).content
        pod = replace(_access(tmp_path, config, first), renewal_timeout=60.0)
        server.expire(json.loads(first)["auths"][server.address]["registrytoken"])
        await_renewal = TokenCache.await_renewal

        def late(*arguments: Any) -> bool:
            assert pod.auth_file is not None
            _replace(pod.auth_file, second)
            return await_renewal(*arguments)

        monkeypatch.setattr(TokenCache, "await_renewal", late)
        assert Registry(pod).manifest(reference).digest == digest


@pytest.mark.parametrize(("error", "waits"), [("", True), ("invalid_token", True), ("insufficient_scope", False)])
def test_a_token_that_is_not_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: str, waits: bool
) -> None:
    with memory_registry(tmp_path, lifetime=HOUR, error=error) as server:
        config = _config(tmp_path, server)
        pod = replace(_access(tmp_path, config, _issued(config).content), renewal_timeout=0.01)
        for access_, message in ((pod, waits), (pod.without_retries(), False)):
            caplog.clear()
            with pytest.raises(RegistryError, match="401"):
                Registry(access_).manifest(ImageReference(server.address, "other", tag="x"))
            assert ("waiting up to 0.01 s for a new one" in caplog.text) is message


def test_credentials_are_not_awaited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A token that the registry's server issued for a password is requested again, not waited for."""
    with memory_registry(tmp_path, error="invalid_token") as server:
        server.faults["GET /v2/other/manifests"] = [Fault(401)] * 4
        config = _config(tmp_path, server)
        with pytest.raises(RegistryError, match="401"):
            Registry(replace(config.access, renewal_timeout=60.0)).manifest(
                ImageReference(server.address, "other", tag="x")
            )
        assert "for a new one" not in caplog.text
