# SPDX-License-Identifier: GPL-2.0-or-later
"""Following the pod of a build: its state, its log, why it waits, and how it ended."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fedpkg_container.cluster import reasons
from fedpkg_container.cluster.client import ClusterClient, ClusterUnavailableError, quoted
from fedpkg_container.cluster.logs import LogAssembler
from fedpkg_container.cluster.manifests import GRACE, PodBuild, kind_of
from fedpkg_container.cluster.streams import (
    QUEUE_SIZE,
    Failed,
    LogEnd,
    LogFollow,
    LogLine,
    PodSeen,
    PodWatch,
    Reader,
    Works,
    log_path,
    pods_path,
)
from fedpkg_container.errors import BuildFailedError, RegistryError
from fedpkg_container.model.pod import TerminationMessage

#: Seconds between two calls of ``tick``, and between two requests for the reasons of a pod that does not exist.
TICK, EVENTS_INTERVAL = 1.0, 10.0
#: Seconds to read the rest of a log after the container has ended, and that a pod may exceed its deadline.
LAST_LINES_TIMEOUT, OVERTIME = 60.0, 300.0


class Log(Protocol):
    """Where the log of a build goes."""

    def report(self, text: str) -> None:
        """Append a line and send it at once."""

    def append_output(self, text: bytes) -> None:
        """Append a line of the build's output."""

    def flush(self) -> None:
        """Send new lines; raise if the task was canceled."""


@dataclass(frozen=True)
class PodResult:
    """The result of a pod that ended by itself.

    :param image: digest reference of the image that the pod ran
    """

    message: TerminationMessage
    image: str


class TakenAwayError(Exception):
    """The cluster ended the pod, and not because of the build."""


class Following:
    """Follows one pod until it has ended and its log is complete.

    :param directory: for temporary files
    :param complete_log: returns the complete log, as records, from the artifact with a digest
    :param name: of the Job or Build
    """

    def __init__(
        self,
        client: ClusterClient,
        build: PodBuild,
        log: Log,
        directory: Path,
        complete_log: Callable[[str], Iterable[bytes]],
        name: str,
    ) -> None:
        self._client, self._build, self._log, self._name = client, build, log, name
        self._complete_log = complete_log
        self._kind = kind_of(build.config)
        self._events: queue.Queue[object] = queue.Queue(QUEUE_SIZE)
        self._container_ended = threading.Event()
        self._assembler = LogAssembler(log.append_output, directory / f"{name}.held")
        self._readers: list[Reader] = []
        self._pod: Mapping[str, Any] | None = None
        self._log_ended = False
        self._unreachable: Failed | None = None
        self._reported: set[int] = set()
        self._waiting: reasons.Waiting | None = None
        self._waiting_since = self._asked = time.monotonic()
        self._cluster_events: Sequence[Mapping[str, Any]] = ()
        self._deadline = 0.0

    def run(self) -> PodResult:
        """Follow the pod; return its result.

        :raises TakenAwayError: if the cluster ended it
        :raises BuildFailedError: if the build failed
        """
        namespace = self._build.config.namespace
        watch = PodWatch(self._client, pods_path(namespace), f"{self._kind.pod_label}={self._name}", self._events)
        self._readers.append(watch)
        watch.start()
        try:
            ended = self._follow()
            self._finish_log(ended)
            return self._result(ended)
        finally:
            for reader in self._readers:
                reader.stop()

    def _follow(self) -> reasons.Ended:
        """Wait for the end of the pod and of its log."""
        log_deadline = 0.0
        while True:
            self._log.flush()
            self._handle_events()
            now = time.monotonic()
            ended = reasons.ended(self._pod, self._kind.container) if self._pod else None
            if ended:
                self._container_ended.set()
                log_deadline = log_deadline or now + LAST_LINES_TIMEOUT
                if self._is_complete(ended) or now > log_deadline or len(self._readers) == 1:
                    return ended
            elif self._unreachable is None:
                self._check_waiting(now)
                if self._deadline and now > self._deadline:
                    raise BuildFailedError(
                        f"the pod {self._name} has not ended {OVERTIME:g} s after its deadline",
                        solution="check the node of the pod",
                    )
            elif now - self._unreachable.since > self._build.config.timeouts.api:
                raise self._unreachable.error

    def _handle_events(self) -> None:
        """Handle events for at most a second."""
        until = time.monotonic() + TICK
        while (rest := until - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=rest)
            except queue.Empty:
                return
            self._handle(event)
            if isinstance(event, (PodSeen, LogEnd, Failed)):
                return

    def _handle(self, event: object) -> None:
        if isinstance(event, LogLine):
            self._assembler.feed(event.text, event.timestamp)
        elif isinstance(event, LogEnd):
            self._log_ended = True
        elif isinstance(event, PodSeen):
            self._see(event)
        elif isinstance(event, Works):
            if self._unreachable is not None:
                self._log.report("the API server is reachable again")
            self._unreachable = None
            self._reported.clear()
            self._waiting_since = now = time.monotonic()
            if self._deadline:  # what happened meanwhile is only now known
                self._deadline = max(self._deadline, now + OVERTIME)
        elif isinstance(event, Failed):
            self._note(event)

    def _see(self, event: PodSeen) -> None:
        pod = event.pod
        if self._pod is not None and reasons.ended(self._pod, self._kind.container):
            return  # only its log is missing
        if pod is None:
            if self._pod is not None:
                raise TakenAwayError("the pod was deleted")
            return
        if event.deleted and reasons.ended(pod, self._kind.container) is None:
            raise TakenAwayError("the pod was deleted")
        self._pod = pod
        if reasons.started(pod, self._kind.container) and len(self._readers) == 1:
            path = log_path(self._build.config.namespace, str(pod["metadata"]["name"]))
            follow = LogFollow(self._client, path, self._kind.container, self._events, self._container_ended)
            self._readers.append(follow)
            follow.start()
            self._deadline = time.monotonic() + self._build.timeout + GRACE + OVERTIME

    def _note(self, event: Failed) -> None:
        """Note a failed request: wait for a server that is unavailable or whose token is renewed, or fail."""
        error = event.error
        if not isinstance(error, ClusterUnavailableError) and error.status not in (404, 410):
            raise error
        if error.status in (404, 410):  # the log of a pod that was deleted: the watch reports that
            return
        if error.status not in self._reported:
            self._reported.add(error.status)
            self._log.report(f"waiting for the API server: {error.reason}")
        self._unreachable = self._unreachable or event

    def _check_waiting(self, now: float) -> None:
        """Report why the pod does not start.

        :raises BuildFailedError: if it waits for too long
        """
        if self._pod is None and now - self._asked > EVENTS_INTERVAL:
            self._asked = now
            self._cluster_events = self._failures()
        current = reasons.waiting(self._pod, self._cluster_events, self._kind.container)
        if current is None:
            self._waiting = None
            return
        if self._waiting is None or self._waiting.step != current.step:
            self._waiting_since = now
        if current != self._waiting and current.text:
            self._log.report(f"waiting: {current}")
        self._waiting = current
        limit = getattr(self._build.config.timeouts, current.step)
        if now - self._waiting_since > limit:
            raise BuildFailedError(
                f"the pod {self._name} did not start: {current} (waited for {limit} s)",
                solution="contact the administrators of the cluster",
            )

    def _failures(self) -> Sequence[Mapping[str, Any]]:
        """Return the events of the Job or Build: without a pod they are the only place with the reason."""
        path = f"/api/v1/namespaces/{quoted(self._build.config.namespace)}/events"
        try:
            events = self._client.request("GET", path, query={"fieldSelector": f"involvedObject.name={self._name}"})
        except ClusterUnavailableError:
            return self._cluster_events
        items = events.get("items") or []
        return sorted(items, key=lambda item: str(item.get("lastTimestamp") or ""))

    def _is_complete(self, ended: reasons.Ended) -> bool:
        message = TerminationMessage.decode(ended.message)
        return self._log_ended or (message is not None and 0 < message.records <= self._assembler.delivered)

    def _finish_log(self, ended: reasons.Ended) -> None:
        """Add what the API did not have, from the artifact."""
        message = TerminationMessage.decode(ended.message)
        last = message.records if message else 0
        if (self._assembler.held_from or last > self._assembler.delivered) and message and message.artifact:
            try:
                self._assembler.complete(self._complete_log(message.artifact))
            except RegistryError as error:  # the outcome of the build is more important
                self._log.report(f"the complete log cannot be read: {error.reason}")
        self._assembler.give_up(last)
        self._log.flush()

    def _result(self, ended: reasons.Ended) -> PodResult:
        message = TerminationMessage.decode(ended.message)
        arch = self._build.spec.arch
        if ended.reason == "DeadlineExceeded":  # its last words are that it was stopped
            raise BuildFailedError(f"building the image for {arch} exceeded the time limit of {self._build.timeout} s")
        if message is not None and message.error and ended.reason != "Evicted":
            if ended.taken_away:
                raise TakenAwayError(ended.text or ended.reason)
            raise BuildFailedError(message.error, solution=message.solution)
        if message is not None and message.artifact:
            return PodResult(message, reasons.image_id(self._pod or {}, self._kind.container))
        if ended.taken_away:
            raise TakenAwayError(ended.text or ended.reason)
        if ended.reason == "OOMKilled":
            memory = self._build.config.placement(arch).resources.memory
            raise BuildFailedError(
                f"building the image for {arch} failed: out of memory (limit: {memory})",
                solution="reduce the memory that the RUN steps use; the limit is set by the site ([kubernetes] memory)",
            )
        status = "" if ended.exit_code is None else f" with exit status {ended.exit_code}"
        detail = ": ".join(filter(None, (ended.reason, ended.text)))
        raise BuildFailedError(
            f"the pod for {arch} ended{status} without a result: {detail or 'the cluster gave no reason'}",
            solution="see the end of the log; contact the administrators of the cluster",
        )
