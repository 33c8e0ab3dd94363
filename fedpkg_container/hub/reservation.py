# SPDX-License-Identifier: GPL-2.0-or-later
"""Reserving an NVR, so that two builds started at the same time cannot both get it.

The reservation is made by the site's shared account and carries no task ID (otherwise canceling the build would
cancel the task); the task ID is stored in ``extra`` instead. A crash leaves the NVR reserved: the next build detects
that the task has ended, cancels the reservation and makes a new one.

The hub reuses build IDs, and canceling a build affects whatever is reserved under its ID. A reservation is therefore
read again right before it is canceled and right after it is made. In the remaining race between two requests, the
other build loses its reservation and notices at its import, because its token is invalid.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

import koji

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.model.koji_types import BuildExtra, BuildInfo, NewReservation
from fedpkg_container.model.nvr import NVR

_log = logging.getLogger(__name__)

#: States in which an NVR can be reserved again.
REUSABLE_STATES = frozenset({koji.BUILD_STATES["FAILED"], koji.BUILD_STATES["CANCELED"]})
ENDED_STATES = frozenset(koji.TASK_STATES[name] for name in ("CLOSED", "CANCELED", "FAILED"))
#: How often another release is tried if another build has taken the previous one.
MAX_ATTEMPTS = 20
#: Releases of isolated builds, and releases that the next release is counted from.
_ISOLATED_RELEASE = re.compile(r"[0-9]+\.[0-9]+(\..*)?")
_INTEGER_RELEASE = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Reservation:
    """An NVR reserved for this build until it is imported or refunded."""

    nvr: NVR
    build_id: int
    token: str


class Reservations:
    """Makes reservations as a content generator.

    :param session: session logged in as the site's shared account
    :param generator: name of the content generator
    :param task_id: ID of the task that reserves
    """

    def __init__(self, session: HubSession, generator: str, task_id: int) -> None:
        self.session = session
        self.generator = generator
        self.task_id = task_id

    def reserve(self, name: str, version: str, release: str, source: str) -> Reservation:
        """Reserve an NVR.

        :param release: empty for the hub's next release
        :raises BuildFailedError: if the NVR is already built, or being built by a running task
        """
        if release:
            return self._reserve(NVR(name, version, release), source)
        self._release_stale(name)
        for _ in range(MAX_ATTEMPTS):
            next_release = self._next_release(name, version)
            try:
                return self._reserve(NVR(name, version, next_release), source)
            except _TakenError as error:
                _log.info("trying the next release: %s", error.reason)
        raise BuildFailedError(
            f"no free release of {name}-{version} found after {MAX_ATTEMPTS} attempts",
            solution="choose a release with --build-release",
        )

    @property
    def _claim(self) -> BuildExtra:
        """The ``extra`` data of a reservation, from which other builds can find out whether it is still in use."""
        return {"container_koji_task_id": self.task_id}

    def _is_own(self, build: BuildInfo) -> bool:
        """Whether a reservation was made by this task, possibly in an earlier run."""
        return (build.get("extra") or {}).get("container_koji_task_id") == self.task_id

    def _next_release(self, name: str, version: str) -> str:
        """Return the release after the newest one.

        The hub increments the release of the last build. Releases of isolated builds, such as ``3.1``, are chosen by
        users: they must neither make the next release ``4.1`` nor prevent it (the hub cannot increment ``3.1.fix``).
        """
        try:
            next_release: str = self.session.getNextRelease({"name": name, "version": version})
        except koji.BuildError:
            next_release = ""
        if next_release and not _ISOLATED_RELEASE.fullmatch(next_release):
            _log.info("release %s of %s-%s chosen by the hub", next_release, name, version)
            return next_release
        states = [koji.BUILD_STATES[state] for state in ("BUILDING", "COMPLETE", "DELETED")]
        releases = [
            int(build["release"].partition(".")[0])
            for build in self.session.listBuilds(packageID=name)
            if build["version"] == version and build["state"] in states and _INTEGER_RELEASE.fullmatch(build["release"])
        ]
        release = max(releases, default=0) + 1
        _log.info("release %d of %s-%s chosen: the hub's would be %s", release, name, version, next_release or "none")
        return str(release)

    def _reserve(self, nvr: NVR, source: str) -> Reservation:
        existing = self.session.getBuild(str(nvr))
        if existing and existing["state"] == koji.BUILD_STATES["BUILDING"]:
            self._take_over(existing)
        elif existing and existing["state"] not in REUSABLE_STATES:
            raise _TakenError(
                f"{nvr} is already built (build {existing['id']})",
                solution="increase the release label, or remove it to get the next release",
            )
        data = {
            "name": nvr.name,
            "version": nvr.version,
            "release": nvr.release,
            "epoch": None,
            "source": source,
            "extra": self._claim,
        }
        try:
            created = self._init(data, nvr)
        except koji.GenericError as error:
            current = self.session.getBuild(str(nvr))
            if current and self._is_own(current):
                self._take_over(current)  # the response was lost, and koji's client has retried
                return self._verified(nvr, self.session.CGInitBuild(self.generator, data))
            if current and current["state"] not in REUSABLE_STATES:
                raise _TakenError(f"another build has just reserved {nvr}: {error}") from error
            raise
        return self._verified(nvr, created)

    def _verified(self, nvr: NVR, created: NewReservation) -> Reservation:
        """Return a new reservation, unless another build has canceled it, mistaking it for the previous one."""
        current = self.session.getBuild(created["build_id"])
        if current is None or current["state"] != koji.BUILD_STATES["BUILDING"] or not self._is_own(current):
            raise _TakenError(f"another build has just reserved {nvr}", solution="submit the build again")
        return Reservation(nvr, created["build_id"], created["token"])

    def _release_stale(self, name: str) -> None:
        """Cancel reservations left by crashed builds of a package: the hub's next release would count them."""
        building = koji.BUILD_STATES["BUILDING"]
        for listed in self.session.listBuilds(packageID=name, state=building) if self._has_package(name) else []:
            build = self.session.getBuild(listed["build_id"])
            with contextlib.suppress(_TakenError):
                if build and build["cg_name"] == self.generator:
                    self._take_over(build)

    def _has_package(self, name: str) -> bool:
        return self.session.getPackageID(name) is not None

    def _init(self, data: Mapping[str, object], nvr: NVR) -> NewReservation:
        try:
            return self.session.CGInitBuild(self.generator, data)
        except koji.RetryError:
            _log.warning("the response with the token of %s was lost: reserving it again", nvr)
            # The response with the token was lost: if the reservation exists, it must be made again.
            if existing := self.session.getBuild(str(nvr)):
                self._take_over(existing)
            return self.session.CGInitBuild(self.generator, data)

    def _take_over(self, build: BuildInfo) -> None:
        """Cancel the reservation of a task that has ended, or of this task in an earlier run."""
        task_id = (build.get("extra") or {}).get("container_koji_task_id")
        is_own = self._is_own(build)
        if task_id is None and not is_own:
            raise _TakenError(f"{build['nvr']} is being built (build {build['id']})", solution="wait until it ends")
        task = None if is_own or task_id is None else self.session.getTaskInfo(task_id)
        if task and task["state"] not in ENDED_STATES:
            raise _TakenError(
                f"{build['nvr']} is being built by task {task_id}",
                solution=f"wait for that task, or cancel it: koji cancel {task_id}",
            )
        current = self.session.getBuild(build["id"])
        if current is None or current["state"] in REUSABLE_STATES:
            return
        if _identity(current) != _identity(build):
            raise _TakenError(f"another build has just reserved {build['nvr']}", solution="submit the build again")
        _log.info("canceling the reservation of %s (build %d): its task has ended", build["nvr"], build["id"])
        try:
            self.session.cancelBuild(build["id"])
        except koji.ActionNotAllowed as error:
            raise _TakenError(
                f"{build['nvr']} (build {build['id']}) is still reserved by {build['owner_name']}: {error}",
                solution=f"have an administrator cancel it (koji cancel {build['nvr']}), or build another release",
            ) from error

    def refund(self, reservation: Reservation, *, canceled: bool) -> None:
        """Refund a reservation, so that the NVR can be built again."""
        state = koji.BUILD_STATES["CANCELED" if canceled else "FAILED"]
        self.session.CGRefundBuild(self.generator, reservation.build_id, reservation.token, state)


class ImportReservations(Reservations):
    """Makes reservations for imports, which have no task: a repeated import takes over its earlier reservation.

    :param session: session logged in as the importing account
    :param generator: name of the content generator
    """

    def __init__(self, session: HubSession, generator: str) -> None:
        super().__init__(session, generator, task_id=0)

    @property
    def _claim(self) -> BuildExtra:
        return {"container_import": True}

    def _is_own(self, build: BuildInfo) -> bool:
        return "container_import" in (build.get("extra") or {})


def _identity(build: BuildInfo) -> tuple[int, int, BuildExtra | None]:
    """Return the data that differs between two reservations with the same build ID."""
    return build["state"], build["creation_event_id"], build["extra"]


class _TakenError(BuildFailedError):
    """The NVR belongs to another build."""
