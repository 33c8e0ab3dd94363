# SPDX-License-Identifier: GPL-2.0-or-later
"""Why the pod of a build does not start, and how its container ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedpkg_container.text import printable_line

#: Steps of a start; each has a separate time limit (settings.Timeouts).
ADMISSION, QUOTA, SCHEDULE, IMAGE, START = "admission", "quota", "schedule", "image", "start"
#: Reasons of a container that waits for its image (kubelet).
_IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable",
                  "ImageInspectError"}  # fmt: skip
#: Reasons of a kubelet that rejects a pod which the scheduler gave to it, or whose node is shut down.
_NODE_REASONS = {"NodeAffinity", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated",
                 "UnexpectedAdmissionError"}  # fmt: skip
#: Longest message of the cluster that is shown, characters.
_LENGTH = 500

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Waiting:
    """Why a pod has not started.

    :param step: one of ``ADMISSION`` … ``START``
    :param text: the cluster's words
    """

    step: str
    text: str

    def __str__(self) -> str:
        """The reason for a log."""
        causes = {
            ADMISSION: "the cluster refuses the pod",
            QUOTA: "the namespace's quota is used up",
            SCHEDULE: "no node can run the pod",
            IMAGE: "the image of the pod cannot be pulled",
            START: "the pod is starting",
        }
        return f"{causes[self.step]}: {self.text}" if self.text else causes[self.step]


@dataclass(frozen=True)
class Ended:
    """How a pod ended.

    :param exit_code: of the container; None if the container's end is unknown
    :param reason: the cluster's reason, e.g. OOMKilled, Evicted, DeadlineExceeded
    :param text: the cluster's words
    :param message: the termination message
    :param taken_away: whether the cluster ended the pod and not because of the build, so that a new pod may succeed
    """

    exit_code: int | None
    reason: str
    text: str
    message: str
    taken_away: bool


def waiting(pod: Object | None, events: Sequence[Object], container: str) -> Waiting | None:
    """Return why a pod has not started; None if its container runs or has ended.

    :param pod: None if it does not exist yet
    :param events: of the Job, used while there is no pod
    """
    if pod is None:
        return _without_pod(events)
    status = pod.get("status") or {}
    state = _container(pod, container).get("state") or {}
    if "running" in state or "terminated" in state or status.get("phase") in ("Succeeded", "Failed"):
        return None
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Waiting(SCHEDULE, _text(condition.get("message") or condition.get("reason")))
    pending = state.get("waiting") or {}
    reason, message = str(pending.get("reason") or ""), pending.get("message")
    if reason in _IMAGE_REASONS:
        return Waiting(IMAGE, _text(message or reason))
    return Waiting(START, _text(message or reason))


def _without_pod(events: Sequence[Object]) -> Waiting:
    """Return why the controller has not made a pod: it reports refused requests as events (FailedCreate)."""
    refused = [
        event for event in events if event.get("reason") in ("FailedCreate", "BuildPodExists", "CannotCreatePod")
    ]
    if not refused:
        return Waiting(START, "")
    text = _text(refused[-1].get("message"))
    return Waiting(QUOTA if "exceeded quota" in text else ADMISSION, text)


def started(pod: Object, container: str) -> bool:
    """Return whether the container has started, so that it has a log."""
    state = _container(pod, container).get("state") or {}
    return "running" in state or "terminated" in state


def ended(pod: Object, container: str) -> Ended | None:
    """Return how a pod ended; None if it has not."""
    status = pod.get("status") or {}
    terminated = (_container(pod, container).get("state") or {}).get("terminated")
    if status.get("phase") not in ("Succeeded", "Failed") and not terminated:
        return None
    conditions = status.get("conditions") or []
    disruption: Object = next((each for each in conditions if each.get("type") == "DisruptionTarget"), {})
    reason = str(status.get("reason") or (terminated or {}).get("reason") or disruption.get("reason") or "")
    own_fault = reason == "Evicted" and not disruption  # it used too much disk space
    is_deleted = bool((pod.get("metadata") or {}).get("deletionTimestamp"))
    by_node = not terminated and (reason in _NODE_REASONS or reason.startswith("OutOf"))
    return Ended(
        exit_code=(terminated or {}).get("exitCode"),
        reason=reason,
        text=_text(status.get("message") or disruption.get("message")),
        message=str((terminated or {}).get("message") or ""),
        taken_away=not own_fault and (bool(disruption) or is_deleted or by_node),
    )


def image_id(pod: Object, container: str) -> str:
    """Return the digest reference of the image that a pod runs; empty if unknown."""
    return str(_container(pod, container).get("imageID") or "")


def _container(pod: Object, name: str) -> Object:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    status: Object = next((each for each in statuses if each.get("name") == name), {})
    return status


def _text(value: object) -> str:
    return printable_line(str(value or ""))[:_LENGTH]
