# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds of OpenShift with the custom strategy: the same pod contract. Only the simulated cluster has them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster.job import ClusterBuild
from fedpkg_container.cluster.manifests import BUILD, PodBuild
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.cluster.site_manifests import BUILDER, SiteOptions, site_objects
from fedpkg_container.cluster.sweeper import sweep
from fedpkg_container.signals import Interrupted
from tests.cluster.conftest import IMAGE, NAMESPACE
from tests.support.cluster.scripted import PRELUDE, Recorded, Run, Target, spec
from tests.support.waiting import eventually


def _start(simulated: Cluster, target: Target, script: str) -> Run:
    simulated.access.rules.clear()
    simulated.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account, openshift=True)))
    simulated.kubelet.images[IMAGE] = [sys.executable, "-c", PRELUDE + script]
    build = PodBuild(
        task_id=7, hub=target.hub, spec=spec(7), site="", files={}, timeout=600,
        config=replace(target.config, kind="openshift-build"),
    )  # fmt: skip
    log = Recorded()
    return Run(ClusterBuild(target.client, build, log, target.directory, lambda _: ()), log)


def test_a_build(simulated: Cluster, target: Target) -> None:
    run = _start(simulated, target, "report('one')\nreport('two')\nend()")
    run.wait()
    assert run.error is None
    assert run.text() == ["one", "two"]
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 30)
    assert ("create", "builds") in simulated.access.used
    assert ("create", "jobs") not in simulated.access.used


def test_the_secret_is_a_volume_of_the_pod(simulated: Cluster, target: Target) -> None:
    run = _start(simulated, target, "report('started')\nwhile True: time.sleep(0.1)\n")
    run.eventually_prints("started")
    pod = simulated.store.list("pods", NAMESPACE)[0]
    mounts = pod["spec"]["containers"][0]["volumeMounts"]
    assert mounts[0]["mountPath"] == "/etc/fedpkg-container"
    assert pod["spec"]["volumes"][0]["secret"]["secretName"] == run.build.build.name()
    assert json.dumps(pod["spec"]).count("FEDPKG_CONTAINER_INPUT") == 1
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 30)


def test_leftovers(simulated: Cluster, target: Target) -> None:
    run = _start(simulated, target, "report('started')\nwhile True: time.sleep(0.1)\n")
    run.eventually_prints("started")
    assert len(sweep(target.client, BUILD, NAMESPACE, target.hub, ended=set)) == 1
    run.log.canceled = Interrupted("the task was canceled")
    run.wait()
    eventually(lambda: not simulated.store.objects, lambda: list(simulated.store.objects), 30)


def test_the_rights_for_builds_are_not_in_the_role_of_others(simulated: Cluster, target: Target) -> None:
    simulated.access.rules.clear()
    simulated.access.install(site_objects(SiteOptions(NAMESPACE, ClusterConfig.service_account)))
    assert not any("builds" in rule["resources"] for _, rule in simulated.access.rules[BUILDER] or [])
