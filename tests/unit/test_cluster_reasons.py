# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a pod does not start, and how it ended, from the objects that Kubernetes returns."""

from __future__ import annotations

from typing import Any

import pytest

from fedpkg_container.cluster.reasons import ADMISSION, IMAGE, QUOTA, SCHEDULE, START, ended, started, waiting


def _pod(state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    containers = [{"name": "istio-proxy", "state": {"running": {}}}]
    if state is not None:
        containers.append({"name": "build", "state": state})
    return {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": containers, **status}}


UNSCHEDULABLE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]


@pytest.mark.parametrize(
    ("pod", "step", "text"),
    [
        (_pod(), START, ""),
        ({"metadata": {}}, START, ""),
        (_pod(conditions=UNSCHEDULABLE), SCHEDULE, "0/3 nodes"),
        (_pod({"waiting": {"reason": "ContainerCreating"}}), START, "ContainerCreating"),
        (_pod({"waiting": {"reason": "ErrImageNeverPull", "message": "m"}}), IMAGE, "m"),
        (_pod({"waiting": {"reason": "InvalidImageName"}}), IMAGE, "InvalidImageName"),
        (_pod({"waiting": {"reason": "CreateContainerConfigError", "message": "secret"}}), START, "secret"),
        (_pod({"waiting": {"reason": "x", "message": "\x1b[31m" + "a" * 9000}}), START, None),
    ],
)
def test_a_pod_that_waits(pod: dict[str, Any], step: str, text: str | None) -> None:
    found = waiting(pod, [], "build")
    assert found is not None
    assert found.step == step
    assert found.text == text if text is not None else len(found.text) <= 500 and "\x1b" not in found.text
    assert not started(pod, "build")


@pytest.mark.parametrize("state", [{"running": {}}, {"terminated": {"exitCode": 0}}])
def test_a_pod_that_has_started(state: dict[str, Any]) -> None:
    assert waiting(_pod(state), [], "build") is None
    assert started(_pod(state), "build")


@pytest.mark.parametrize(
    ("message", "step"),
    [
        ('pods "x" is forbidden: exceeded quota: q, requested: pods=1', QUOTA),
        ('pods "x" is forbidden: violates PodSecurity "baseline:latest"', ADMISSION),
        ('admission webhook "w" denied the request', ADMISSION),
    ],
)
def test_without_a_pod(message: str, step: str) -> None:
    events = [{"reason": "SuccessfulCreate", "message": "x"}, {"reason": "FailedCreate", "message": message}]
    found = waiting(None, events, "build")
    assert found is not None
    assert (found.step, found.text) == (step, message)
    assert waiting(None, [], "build") is not None


def test_a_pod_that_has_not_ended() -> None:
    assert ended(_pod({"running": {}}), "build") is None
    assert ended({"metadata": {}}, "build") is None


DISRUPTION = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drain"}]
KILLED = {"terminated": {"exitCode": 137, "reason": "Error"}}


@pytest.mark.parametrize(
    ("pod", "taken_away", "reason"),
    [
        (_pod({"terminated": {"exitCode": 1, "reason": "Error", "message": "m"}}, phase="Failed"), False, "Error"),
        (_pod({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, phase="Failed"), False, "OOMKilled"),
        (_pod(KILLED, phase="Failed", reason="DeadlineExceeded"), False, "DeadlineExceeded"),
        (_pod(KILLED, phase="Failed", reason="Evicted", message="volume"), False, "Evicted"),
        (_pod(KILLED, phase="Failed", conditions=DISRUPTION), True, "Error"),
        (_pod(phase="Failed", conditions=DISRUPTION), True, "EvictionByEvictionAPI"),
        (_pod(phase="Failed", reason="OutOfcpu", message="not enough"), True, "OutOfcpu"),
        (_pod(phase="Failed", reason="NodeShutdown"), True, "NodeShutdown"),
        (_pod(phase="Failed", reason="UnexpectedAdmissionError"), True, "UnexpectedAdmissionError"),
        ({**_pod(KILLED, phase="Failed"), "metadata": {"deletionTimestamp": "t"}}, True, "Error"),
    ],
)
def test_how_a_pod_ended(pod: dict[str, Any], taken_away: bool, reason: str) -> None:
    found = ended(pod, "build")
    assert found is not None
    assert (found.taken_away, found.reason) == (taken_away, reason)
