# SPDX-License-Identifier: GPL-2.0-or-later
"""One build in a pod: created or adopted, followed, and deleted whatever happens."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.cluster import manifests, objects
from fedpkg_container.cluster.client import ClusterClient, ClusterError, ClusterUnavailableError, quoted, retrying
from fedpkg_container.cluster.following import Following, Log, PodResult, TakenAwayError
from fedpkg_container.cluster.manifests import PodBuild, hub_labels, kind_of, selector
from fedpkg_container.cluster.settings import Timeouts
from fedpkg_container.cluster.streams import secrets_path
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.signals import Interrupted

_log = logging.getLogger(__name__)

#: Pods per build: one more if the cluster takes the first away (eviction, preemption, a lost node).
ATTEMPTS = 2
#: Seconds to wait for the end of an object with the same name that is being deleted.
DELETED_TIMEOUT = 120.0
#: The server refuses unknown fields, instead of ignoring them.
STRICT = {"fieldValidation": "Strict"}
#: Seconds to delete the objects of a build while the API server is unavailable; ``prune`` deletes the rest.
DELETE_TIMEOUT = 30.0


@dataclass
class ClusterBuild:
    """A build in a pod.

    :param log: the log of the task
    :param directory: for temporary files
    :param complete_log: returns the complete log, as records, from the artifact with a digest
    :param restarts: called when this process is interrupted: whether the task will start again, so that the pod
        must continue
    """

    client: ClusterClient
    build: PodBuild
    log: Log
    directory: Path
    complete_log: Callable[[str], Iterable[bytes]]
    restarts: Callable[[], bool] = lambda: False
    attempt: int = field(default=0, init=False)
    _adopted: bool = field(default=False, init=False)

    def run(self) -> PodResult:
        """Run the build; return its result when the pod has ended. The caller must call ``delete``.

        :raises BuildFailedError: if the build failed, the pod did not start in time, or the cluster ended it
        :raises ClusterError: if the API server refused a request, or was unavailable for too long
        """
        try:
            self._adopt()
            while True:
                try:
                    return self._run_pod()
                except TakenAwayError as error:
                    self.delete()
                    if self.attempt + 1 >= ATTEMPTS:
                        raise BuildFailedError(
                            f"the cluster ended the pod {ATTEMPTS} times: {error}",
                            solution="build again; if it happens again, contact the administrators of the cluster",
                        ) from error
                    self.attempt += 1
                    self._adopted = False
                    self.log.report(f"the cluster ended the pod: {error}; starting another one")
        except Interrupted:
            if not self.restarts():
                self.delete()
            raise
        except BaseException:
            self.delete()
            raise

    def delete(self) -> None:
        """Delete the objects of the current attempt; failures are left to ``prune``."""
        try:
            retrying(lambda: delete(self.client, self.build, self.build.name(self.attempt)), timeout=DELETE_TIMEOUT)
        except ClusterError as error:
            _log.warning("cannot delete %s: %s", self.build.name(self.attempt), error.reason)

    def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Make a request, and repeat it while the API server is unavailable."""
        reported: set[int] = set()

        def report(error: ClusterUnavailableError) -> None:
            if error.status not in reported:
                self.log.report(f"waiting for the API server: {error.reason}")
            reported.add(error.status)

        return retrying(
            lambda: self.client.request(method, path, **options),
            timeout=self._timeouts.api,
            tick=self.log.flush,
            on_wait=report,
        )

    @property
    def _timeouts(self) -> Timeouts:
        return self.build.config.timeouts

    @property
    def _collection(self) -> str:
        return kind_of(self.build.config).collection(quoted(self.build.config.namespace))

    def _adopt(self) -> None:
        """Find the objects of an earlier run of this task: continue with the current build, delete others."""
        labels = {**hub_labels(self.build.hub), manifests.TASK: str(self.build.task_id)}
        response = self._request("GET", self._collection, query={"labelSelector": selector(labels)})
        names = {item["metadata"]["name"] for item in objects.items_of(response) if not objects.is_deleted(item)}
        attempts = [attempt for attempt in range(ATTEMPTS) if self.build.name(attempt) in names]
        self.attempt = max(attempts, default=0)
        for name in sorted(names - {self.build.name(self.attempt)}):
            retrying(lambda name=name: delete(self.client, self.build, name), timeout=DELETE_TIMEOUT)  # type: ignore[misc]
        self._adopted = bool(attempts)
        if attempts:
            self.log.report(f"continuing with pod {self.build.name(self.attempt)} of an earlier run of this task")

    def _run_pod(self) -> PodResult:
        name = self.build.name(self.attempt)
        if not self._adopted:
            owner = self._create()
            self.log.report(f"pod {name} in namespace {self.build.config.namespace}")
        else:
            owner = self._request("GET", f"{self._collection}/{quoted(name)}")
        after = self._create_secret(owner)
        return Following(self.client, self.build, self.log, self.directory, self.complete_log, name, after).run()

    def _create(self) -> dict[str, Any]:
        """Create the Job or Build; return it, also if it exists because a response was lost.

        One that is being deleted keeps its name until its pod has ended.

        :raises ClusterError: if the request is refused
        """
        body = self.build.object(self.attempt)
        deadline = time.monotonic() + DELETED_TIMEOUT
        while True:
            try:
                return self._request("POST", self._collection, query=STRICT, body=body)
            except ClusterError as error:
                if error.status != 409 or time.monotonic() > deadline:
                    raise
            with _ignoring(404):
                existing = self._request("GET", f"{self._collection}/{quoted(body['metadata']['name'])}")
                if not objects.is_deleted(existing):
                    return existing
                self.log.flush()
                time.sleep(1)

    def _create_secret(self, owner: Mapping[str, Any]) -> float:
        """Create the Secret; replace one that belongs to an object that was deleted, and renew what has expired.

        :returns: seconds after which its file must be renewed; 0 in a check, which tests that
        :raises FedpkgContainerError: if no token is issued
        """
        issued = self.build.renewed.issue() if self.build.renewed else None
        path, body = secrets_path(self.build.config.namespace), self.build.secret(self.attempt, owner, issued)
        name = body["metadata"]["name"]
        try:
            self._request("POST", path, query=STRICT, body=body)
        except ClusterError as error:
            if error.status != 409:
                raise
            if not self._adopted:
                with _ignoring(404):
                    self._request("DELETE", f"{path}/{quoted(name)}")
                self._request("POST", path, query=STRICT, body=body)
            elif issued:
                return 0.0
        return issued.renewal if issued and not self.build.checks else 0.0


def delete(client: ClusterClient, build: PodBuild, name: str) -> None:
    """Delete a Job or Build with its pod and Secret, unless they were deleted.

    :raises ClusterError: if a request fails
    """
    delete_named(client, kind_of(build.config), build.config.namespace, name)


def delete_named(client: ClusterClient, kind: manifests.Kind, namespace: str, name: str) -> None:
    """Delete an object of a kind with its pod and Secret, unless they were deleted.

    :raises ClusterError: if a request fails
    """
    path = f"{kind.collection(quoted(namespace))}/{quoted(name)}"
    with _ignoring(404):
        client.request("DELETE", path, body={"propagationPolicy": "Foreground"})
    with _ignoring(404):
        client.request("DELETE", f"{secrets_path(namespace)}/{quoted(name)}")


@contextlib.contextmanager
def _ignoring(status: int) -> Iterator[None]:
    try:
        yield
    except ClusterError as error:
        if error.status != status:
            raise
