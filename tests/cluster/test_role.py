# SPDX-License-Identifier: GPL-2.0-or-later
"""The role of the builders is the smallest: without any of its verbs a build does not work."""

from __future__ import annotations

import pytest

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster.site_manifests import BUILDER, RULES
from tests.cluster.conftest import NAMESPACE
from tests.support.cluster.scripted import Run, Target
from tests.support.waiting import eventually

VERBS = [(resource, verb) for rule in RULES for resource in rule["resources"] for verb in rule["verbs"]]


pytestmark = pytest.mark.usefixtures("frequent_events")


def _build(simulated: Cluster, target: Target) -> Run:
    """A build that waits for the quota, and whose Job is found again after a lost response."""
    simulated.chaos.lost_responses.append(("POST", "jobs"))
    simulated.chaos.quota = "exceeded quota"
    run = target.start("report('started')\nend()")
    eventually(
        lambda: run.error is not None or any("quota" in line for line in run.log.reports), lambda: run.log.reports, 30
    )
    simulated.chaos.quota = ""
    return run.wait()


def test_a_build_uses_every_verb(simulated: Cluster, target: Target) -> None:
    run = _build(simulated, target)
    assert run.error is None
    assert run.text() == ["started"]
    assert simulated.access.used == {(verb, resource) for resource, verb in VERBS}


@pytest.mark.slow
@pytest.mark.parametrize(("resource", "verb"), VERBS)
def test_a_build_without_a_verb(
    simulated: Cluster, target: Target, caplog: pytest.LogCaptureFixture, resource: str, verb: str
) -> None:
    rules = simulated.access.rules[BUILDER]
    assert rules is not None
    kept = [
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]} if rule["resources"] == [resource] else rule
        for _, rule in rules
    ]
    simulated.access.rules[BUILDER] = [(NAMESPACE, rule) for rule in kept]
    run = _build(simulated, target)
    refused = f'{resource} is forbidden: User "system:serviceaccount:{BUILDER}" cannot {verb} resource "{resource}"'
    assert refused in f"{run.error} {caplog.text}", run.log
