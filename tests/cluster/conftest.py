# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster: the simulated one, or, with KUBECONFIG, a real one."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.box.pki import Authority
from fedpkg_container.cluster import following
from fedpkg_container.cluster.client import ClusterClient
from fedpkg_container.cluster.settings import ClusterConfig, Placement, Timeouts
from fedpkg_container.cluster.site_manifests import BUILDER, SiteOptions, site_objects
from tests.support.cluster.scripted import Target
from tests.support.cluster.validation import validate

#: Image of scripted pods in the simulated cluster, and namespace of the tests.
IMAGE, NAMESPACE = "registry.example.org/pod@sha256:" + "1" * 64, "builds"
KUBECONFIG = os.environ.get("CLUSTER_KUBECONFIG", "")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the simulated API server."""
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def simulated(tmp_path: Path, authority: Authority) -> Iterator[Cluster]:
    """The simulated cluster, for tests of faults."""
    if KUBECONFIG:
        pytest.skip("needs faults of the simulated cluster")
    with _simulated(tmp_path, authority) as cluster:
        yield cluster


def _simulated(directory: Path, authority: Authority):  # type: ignore[no-untyped-def]
    cluster = Cluster(directory / "cluster", validate=validate)
    cluster.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account)))
    cluster.access.grant(BUILDER, "builder-token")
    cluster.kubelet.images[IMAGE] = [sys.executable, "-m", "fedpkg_container.pod"]
    return cluster.running(authority.issue("kubernetes", server=True))


def target_of(cluster: Cluster, directory: Path, authority: Authority) -> Target:
    """The engine's view of the simulated cluster."""
    token = directory / "token"
    token.write_text("builder-token")
    path = cluster.kubeconfig(directory / "kubeconfig", authority.certificate_path, token, NAMESPACE)
    config = ClusterConfig(kind="kubernetes", namespace=NAMESPACE, placements={"": Placement(IMAGE)}, kubeconfig=path)
    return Target(ClusterClient(path), config, directory, f"https://hub.example.org/{uuid.uuid4()}")


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """The cluster, as the engine uses it."""
    if not KUBECONFIG:
        simulated = request.getfixturevalue("simulated")
        yield target_of(simulated, tmp_path, request.getfixturevalue("authority"))
        return
    config = ClusterConfig(
        kind="kubernetes",
        namespace=os.environ.get("CLUSTER_NAMESPACE", "fedpkg-container"),
        placements={"": Placement(os.environ["CLUSTER_IMAGE"])},
        kubeconfig=Path(KUBECONFIG),
    )
    found = Target(ClusterClient(Path(KUBECONFIG)), config, tmp_path, f"https://hub.example.org/{uuid.uuid4()}")
    yield found
    found.clean()


def with_timeouts(target: Target, **seconds: int) -> ClusterConfig:
    """The configuration with shorter time limits."""
    return replace(target.config, timeouts=Timeouts(**seconds))


@pytest.fixture
def frequent_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Request events more often than every ten seconds."""
    monkeypatch.setattr(following, "EVENTS_INTERVAL", 0.2)


@pytest.fixture
def usable_afterwards(target: Target) -> Iterator[None]:
    """After each fault nothing is left, and the next build of the task works."""
    yield
    target.nothing_left()
    run = target.start("report('next')\nend()").wait()
    assert run.text() == ["next"]
    assert run.error is None
    target.nothing_left()
