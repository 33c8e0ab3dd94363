# SPDX-License-Identifier: GPL-2.0-or-later
"""The token of a pod: it can push to its staging repository and read its base images, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.cluster.settings import ClusterConfig, Placement
from fedpkg_container.errors import ConfigurationError, RegistryError
from fedpkg_container.image.config import BuilderConfig, read_builder_config
from fedpkg_container.image.pod_inputs import pod_files, task_token
from fedpkg_container.model.pod import AUTH_FILE
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Registry
from tests.support.memory_registry import MemoryRegistry, memory_registry
from tests.support.pushing import image
from tests.support.registries import PASSWORD, access

pytestmark = pytest.mark.programs

CLUSTER = ClusterConfig("kubernetes", "builds", {"": Placement("image")}, task_token=True)
STAGING, HOUR = "staging/task-7", 3600


def _config(folder: Path, server: MemoryRegistry) -> BuilderConfig:
    path = folder / "builder.conf"
    path.write_text(f"[registry]\ncandidate = {server.address}\n")
    return replace(read_builder_config(path), access=access(folder, server.address, password=PASSWORD))


def _pod(folder: Path, config: BuilderConfig, token: str) -> Registry:
    """The registry as a pod reaches it."""
    auth_file = folder / "pod.json"
    auth_file.write_bytes(pod_files(config, CLUSTER, "", token)[AUTH_FILE])
    return Registry(replace(config.access, auth_file=auth_file))


def test_what_a_token_allows(tmp_path: Path) -> None:
    with memory_registry(tmp_path, lifetime=HOUR) as server:
        config = _config(tmp_path, server)
        reference = ImageReference(server.address, "base", tag="latest")
        with Registry(config.access).repository(reference) as repository:
            base = reference.at(image(repository, "base", "latest").digest)
        token = task_token(config, CLUSTER, STAGING, [str(base), "other.example.org/x@sha256:" + "1" * 64], HOUR)
        server.seen.clear()
        registry = _pod(tmp_path, config, token)
        assert registry.manifest(base).digest == base.digest
        with registry.repository(ImageReference(server.address, STAGING)) as repository:
            image(repository, "built", "result")
        assert server[STAGING].tags == ["result"]
        for other, pushed in ((STAGING.replace("7", "8"), True), ("base", True), ("other", False)):
            with registry.repository(ImageReference(server.address, other)) as repository:
                with pytest.raises(RegistryError, match="401"):
                    image(repository, "x", "x") if pushed else repository.manifest("latest")
        assert server.asked("/token") == 0, "the pod needs no credentials"
        assert {authorization for *_, authorization in server.seen} == {"", f"Bearer {token}"}


def test_a_token_that_expires_too_early(tmp_path: Path) -> None:
    with memory_registry(tmp_path, lifetime=HOUR) as server:
        with pytest.raises(ConfigurationError, match=r"valid for 3600 s; a pod of this build may run for 3601 s"):
            task_token(_config(tmp_path, server), CLUSTER, STAGING, [], HOUR + 1)
    with memory_registry(tmp_path) as server:
        with pytest.raises(ConfigurationError, match="valid for 60 s"):
            task_token(_config(tmp_path, server), CLUSTER, STAGING, [], 61)


def test_a_registry_without_tokens(tmp_path: Path) -> None:
    with memory_registry(tmp_path, token=False) as server:
        with pytest.raises(RegistryError, match="has no token server"):
            task_token(_config(tmp_path, server), CLUSTER, STAGING, [], 1)


def test_credentials_for_the_token(tmp_path: Path) -> None:
    """Those of ``[kubernetes] auth_file`` are used before the builder's own."""
    with memory_registry(tmp_path, lifetime=HOUR) as server:
        config = _config(tmp_path, server)
        wrong = tmp_path / "wrong.json"
        wrong.write_text(json.dumps({"auths": {server.address: {"auth": "dTp3cm9uZw=="}}}))
        with pytest.raises(RegistryError, match="issued no token"):
            task_token(config, replace(CLUSTER, auth_file=wrong), STAGING, [], 1)
        assert task_token(config, replace(CLUSTER, task_token=False), STAGING, [], 1) == ""
