# SPDX-License-Identifier: GPL-2.0-or-later
"""The kubelet: runs the command of a pod's container as a process, with its volumes, and reports its state."""

from __future__ import annotations

import base64
import contextlib
import datetime
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from fedpkg_container.box.cluster.chaos import Chaos
from fedpkg_container.box.cluster.store import ApiError, Object, Store
from fedpkg_container.process import start_piped

#: Returns the command that runs a container: its command, host directories by their paths in it, variables, the file
#: for the termination message, and its capabilities (None: all).
Runtime = Callable[[Sequence[str], Mapping[str, Path], Mapping[str, str], Path, Optional[Sequence[str]]], "Command"]
#: Bytes of a termination message that are kept (a3).
MESSAGE_SIZE = 4096
#: umask of containers, whatever that of this process (source: OCI runtimes), and mode of an emptyDir (source: kubelet).
UMASK, EMPTY_DIR_MODE = 0o022, 0o777


@dataclass(frozen=True)
class Command:
    """A process to start."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    cleanup: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class OutputLine:
    """A line of a container's log."""

    timestamp: str
    text: bytes


@dataclass
class Output:
    """The log of a container.

    :param rotated: number of lines in files that were rotated away: only the current file is read (a3)
    """

    lines: list[OutputLine] = field(default_factory=list)
    rotated: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    changed: threading.Event = field(default_factory=threading.Event)

    def append(self, text: bytes) -> None:
        """Append a line."""
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{len(self.lines) % 1000:03d}Z"
        self.lines.append(OutputLine(stamp, text))
        self.changed.set()

    def rotate(self) -> None:
        """Start a new file."""
        self.rotated = len(self.lines)


@dataclass
class Container:
    """A container that was started."""

    process: subprocess.Popen[bytes]
    output: Output
    message: Path
    deadline: float
    reader: threading.Thread
    cleanup: Callable[[], None]
    killed_at: float = 0.0
    reason: str = ""


class Kubelet:
    """The kubelet of all nodes.

    :param directory: for volumes
    """

    def __init__(self, store: Store, chaos: Chaos, directory: Path) -> None:
        self._store, self._chaos, self._directory = store, chaos, directory
        self._containers: dict[str, Container] = {}
        self._outputs: dict[str, Output] = {}
        #: Image → entry point.
        self.images: dict[str, Sequence[str]] = {}
        #: PersistentVolumeClaim → directory.
        self.claims: dict[str, Path] = {}
        self.runtime: Runtime = run_directly
        #: Pods whose node is gone: their processes have ended, and nothing reports it.
        self.lost: set[str] = set()

    def output(self, uid: str) -> Output | None:
        """Return the log of a pod's container; None if it has not started."""
        return self._outputs.get(uid)

    def stop(self) -> None:
        """End all processes."""
        for container in self._containers.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(container.process.pid, signal.SIGKILL)
            container.process.wait(30)
            container.cleanup()

    def sync(self, pod: Object) -> None:
        """Start the container of a pod, or report its end."""
        uid = pod["metadata"]["uid"]
        phase = (pod.get("status") or {}).get("phase")
        if phase in ("Succeeded", "Failed") or uid in self.lost:
            return
        container = self._containers.get(uid)
        if container is None:
            self._start(pod)
        elif container.process.poll() is not None:
            self._report_end(pod, container)
        elif time.monotonic() > container.deadline and not container.reason:
            # a3: the pod's deadline keeps pod and log; reason DeadlineExceeded
            container.reason = "DeadlineExceeded"
            self._signal(container, signal.SIGTERM)
            container.killed_at = time.monotonic() + _grace(pod)
        elif container.killed_at and time.monotonic() > container.killed_at:
            self._signal(container, signal.SIGKILL)

    def terminate(self, pod: Object) -> bool:
        """End the container of a pod that is being deleted: SIGTERM, and SIGKILL after the grace period (a3)."""
        uid = pod["metadata"]["uid"]
        container = self._containers.get(uid)
        if container is None or uid in self.lost:
            return True
        if container.process.poll() is not None:
            return self._report_end(pod, container)
        if not container.killed_at:
            container.killed_at = time.monotonic() + _grace(pod)
            self._signal(container, signal.SIGTERM)
        elif time.monotonic() > container.killed_at:
            self._signal(container, signal.SIGKILL)
        return False

    def oom(self, uid: str) -> None:
        """Kill a container as the kernel does at its memory limit (a3: 137, OOMKilled)."""
        self._containers[uid].reason = "OOMKilled"
        self._signal(self._containers[uid], signal.SIGKILL)

    def evict(self, uid: str, message: str) -> None:
        """Evict a pod for its disk usage: phase Failed, reason Evicted, no DisruptionTarget (a3)."""
        self._containers[uid].reason = f"Evicted:{message}"
        self._signal(self._containers[uid], signal.SIGKILL)

    def disrupt(self, namespace: str, name: str, reason: str, message: str) -> None:
        """Mark a pod as a target of disruption, and delete it (source: preemption, taint manager)."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
        self._store.update("pods", namespace, name, {"status": {"conditions": [condition]}})
        self._store.update("pods", namespace, name, {"metadata": {"deletionTimestamp": self._store.now()}})

    def lose_node(self, uid: str) -> None:
        """End a pod's processes without a report, as when its node crashes."""
        self.lost.add(uid)
        self._signal(self._containers[uid], signal.SIGKILL)
        self._containers[uid].output.ended.wait(10)

    @staticmethod
    def _signal(container: Container, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGTERM:
                container.process.send_signal(number)
            else:
                os.killpg(container.process.pid, number)

    def _start(self, pod: Object) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        spec = pod["spec"]["containers"][0]
        image = spec["image"]
        if image not in self.images or image in self._chaos.unknown_images:
            waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}
            if not (pod.get("status") or {}).get("containerStatuses"):
                self._status(namespace, name, {"waiting": waiting}, spec)
            return
        volumes = self._volumes(pod)
        if volumes is None:  # source: a missing Secret; the mount is attempted again
            if not (pod.get("status") or {}).get("containerStatuses"):
                self._status(namespace, name, {"waiting": {"reason": "ContainerCreating"}}, spec)
            return
        uid = pod["metadata"]["uid"]
        message = self._directory / uid / "message"
        message.touch()
        mounts = {each["mountPath"]: volumes[each["name"]] for each in spec.get("volumeMounts") or []}
        environment = {each["name"]: each["value"] for each in spec.get("env") or []}
        arguments = [*(spec.get("command") or self.images[image]), *(spec.get("args") or [])]
        command = self.runtime(arguments, mounts, environment, message, _capabilities(spec))
        process = start_piped(command.arguments, env=command.environment, umask=UMASK)
        output = Output()
        reader = threading.Thread(target=_read, args=(process, output), daemon=True)
        deadline = time.monotonic() + pod["spec"].get("activeDeadlineSeconds", 10**9)
        self._containers[uid] = Container(process, output, message, deadline, reader, command.cleanup)
        self._outputs[uid] = output
        reader.start()
        self._status(namespace, name, {"running": {"startedAt": self._store.now()}}, spec, phase="Running")

    def _volumes(self, pod: Object) -> dict[str, Path] | None:
        """Make the volumes of a pod; None if a Secret does not exist."""
        directory = self._directory / pod["metadata"]["uid"]
        directory.mkdir(parents=True, exist_ok=True)
        paths = {}
        for volume in pod["spec"].get("volumes") or []:
            path = directory / volume["name"]
            if "persistentVolumeClaim" in volume:
                path = self.claims[volume["persistentVolumeClaim"]["claimName"]]
            elif "secret" in volume:
                try:
                    secret = self._store.get("secrets", pod["metadata"]["namespace"], volume["secret"]["secretName"])
                except ApiError:
                    return None
                path.mkdir(exist_ok=True)
                for name, content in secret["data"].items():
                    (path / name).write_bytes(base64.b64decode(content))
                    (path / name).chmod(volume["secret"].get("defaultMode", 0o644))
            else:
                path.mkdir(exist_ok=True)
                path.chmod(EMPTY_DIR_MODE)
            paths[volume["name"]] = path
        return paths

    def _report_end(self, pod: Object, container: Container) -> bool:
        """Report the end of a container; return whether its output has ended as well.

        With the first process of a container, its PID namespace ends, and all other processes in it.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(container.process.pid, signal.SIGKILL)
        if not container.output.ended.wait(10):
            return False
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        status = container.process.returncode
        code = 128 - status if status < 0 else status
        reason = container.reason.partition(":")[0]
        terminated: dict[str, Any] = {
            "exitCode": code,
            "reason": reason if reason == "OOMKilled" else "Completed" if code == 0 else "Error",
            "message": container.message.read_bytes()[:MESSAGE_SIZE].decode(errors="replace"),
        }
        more: dict[str, Any] = {}
        if reason in ("Evicted", "DeadlineExceeded"):
            more = {"reason": reason, "message": container.reason.partition(":")[2]}
        phase = "Succeeded" if code == 0 and not more else "Failed"
        self._status(
            namespace, name, {"terminated": terminated, "running": None}, pod["spec"]["containers"][0], phase, more
        )
        container.cleanup()
        for volume in (self._directory / pod["metadata"]["uid"]).iterdir():
            if volume.is_dir():
                shutil.rmtree(volume, ignore_errors=True)
        return True

    def _status(
        self,
        namespace: str,
        name: str,
        state: Mapping[str, Any],
        spec: Mapping[str, Any],
        phase: str = "Pending",
        more: Mapping[str, Any] | None = None,
    ) -> None:
        shown = {key: value for key, value in state.items() if value is not None}
        container = {"name": spec["name"], "state": shown, "imageID": _with_digest(spec["image"])}
        self._store.update(
            "pods", namespace, name, {"status": {"phase": phase, "containerStatuses": [container], **(more or {})}}
        )


def run_directly(
    arguments: Sequence[str],
    _mounts: Mapping[str, Path],
    environment: Mapping[str, str],
    message: Path,
    _capabilities: Sequence[str] | None,
) -> Command:
    """Run a command on this machine, for scripts of tests that need no volumes but the message."""
    variables = {**os.environ, **environment, "FEDPKG_CONTAINER_MESSAGE": str(message)}
    return Command(arguments, variables)


def _capabilities(container: Mapping[str, Any]) -> Sequence[str] | None:
    """Return the capabilities of a container that drops all others; None for all."""
    declared = (container.get("securityContext") or {}).get("capabilities") or {}
    return declared.get("add") or [] if declared.get("drop") == ["ALL"] else None


def _with_digest(image: str) -> str:
    return image if "@" in image else f"{image}@sha256:{'0' * 64}"


def _grace(pod: Object) -> float:
    return float(pod["spec"].get("terminationGracePeriodSeconds", 30))


def _read(process: subprocess.Popen[bytes], output: Output) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            output.append(line.rstrip(b"\n"))
    process.wait()
    output.ended.set()
    output.changed.set()
