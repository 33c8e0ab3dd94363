# SPDX-License-Identifier: GPL-2.0-or-later
"""What the pods of each network may reach by the NetworkPolicies that a site installs."""

from __future__ import annotations

from typing import Any

import pytest

from fedpkg_container.cluster.manifests import BUILD, PodBuild
from fedpkg_container.cluster.settings import ClusterConfig, Placement
from fedpkg_container.cluster.site_manifests import SiteOptions, site_objects
from tests.support.cluster.policies import may_reach
from tests.support.cluster.scripted import spec

REGISTRY, INTERNAL, OUTSIDE, METADATA = "10.0.0.7", "10.0.0.8", "93.184.216.34", "169.254.169.254"
OUTSIDE_6 = "2606:2800:220:1::1"


def _policies(*, builds: bool = False) -> list[dict[str, Any]]:
    options = SiteOptions("builds", "account", [f"{REGISTRY}/32"], ["10.0.0.0/8"], openshift=builds, builds=builds)
    return [each for each in site_objects(options) if each["kind"] == "NetworkPolicy"]


def _labels(network: str) -> dict[str, str]:
    """Labels of the pod of a build, as its Job has them."""
    config = ClusterConfig("kubernetes", "builds", {"": Placement("image")})
    build = PodBuild(7, "https://hub.example.org", spec(7, network=network), "", {}, 60, config)
    labels: dict[str, str] = build.object()["spec"]["template"]["metadata"]["labels"]
    return labels


@pytest.mark.parametrize(
    ("network", "reached"),
    [
        ("none", {REGISTRY}),
        ("isolated", {REGISTRY, OUTSIDE}),
        ("host", {REGISTRY, INTERNAL, OUTSIDE, OUTSIDE_6, METADATA}),
    ],
)
def test_what_a_pod_of_a_network_reaches(network: str, reached: set[str]) -> None:
    addresses = (REGISTRY, INTERNAL, OUTSIDE, OUTSIDE_6, METADATA)
    assert {each for each in addresses if may_reach(_policies(), _labels(network), each)} == reached
    assert may_reach(_policies(), _labels(network), INTERNAL, port=53), "name resolution"


def test_what_the_pod_of_a_build_of_openshift_reaches() -> None:
    """It has no other label."""
    labels = {BUILD.pod_label: "fedpkg-container-7-x86-64-abc-0"}
    addresses = (REGISTRY, INTERNAL, OUTSIDE, METADATA)
    assert {each for each in addresses if may_reach(_policies(builds=True), labels, each)} == {REGISTRY, OUTSIDE}
    assert not may_reach(_policies(), labels, OUTSIDE), "with the policies for Jobs it reaches services only"


def test_another_pod_of_the_namespace() -> None:
    assert not may_reach(_policies(), {"app": "other"}, OUTSIDE)
