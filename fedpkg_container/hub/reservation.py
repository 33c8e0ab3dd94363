"""Reserving an NVR, so that two builds started at the same moment cannot both win it.

The reservation is made by the site's shared account and carries no task id (with one, canceling the build would
cancel the task); which task reserved is written into ``extra`` instead. A crash leaves the NVR reserved: whoever
comes next sees that the task has ended, cancels the reservation and makes a new one.

The hub gives the same build id again, and cancels whatever is reserved under it: so a reservation is read again right
before it is canceled, and one that was made right after. What is left between two requests costs the other build its
reservation, which it learns at its import: its token is gone.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.build import NVR

#: States from which an NVR can be taken up again.
REUSABLE = frozenset({koji.BUILD_STATES["FAILED"], koji.BUILD_STATES["CANCELED"]})
ENDED = frozenset(koji.TASK_STATES[name] for name in ("CLOSED", "CANCELED", "FAILED"))
#: How often another release is tried when somebody else was faster.
ATTEMPTS = 20
#: Releases that isolated builds have, and those that are counted.
_CHOSEN = re.compile(r"[0-9]+\.[0-9]+(\..*)?")
_COUNTED = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Reservation:
    """An NVR that is ours until it is imported or given back."""

    nvr: NVR
    build_id: int
    token: str


class Reservations:
    """Reserving as a content generator.

    :param session: logged in as the site's shared account
    :param generator: name of the content generator
    :param task_id: the task that reserves
    """

    def __init__(self, session: Any, generator: str, task_id: int) -> None:
        self.session = session
        self.generator = generator
        self.task_id = task_id

    def reserve(self, name: str, version: str, release: str, source: str) -> Reservation:
        """Reserve an NVR.

        :param release: empty for the hub's next one
        :raises BuildFailedError: it is built already, or being built by a task that is alive
        """
        if release:
            return self._reserve(NVR(name, version, release), source)
        self._heal(name)
        for _ in range(ATTEMPTS):
            following = self._next_release(name, version)
            with contextlib.suppress(_TakenError):
                return self._reserve(NVR(name, version, following), source)
        raise BuildFailedError(
            f"no free release of {name}-{version} was found in {ATTEMPTS} attempts",
            solution="choose one with --build-release",
        )

    @property
    def _claim(self) -> dict[str, Any]:
        """What is written into a reservation, by which whoever finds it can tell whether it is alive."""
        return {"container_koji_task_id": self.task_id}

    def _is_own(self, build: dict[str, Any]) -> bool:
        """Whether a reservation is of this task, perhaps in an earlier run."""
        return (build.get("extra") or {}).get("container_koji_task_id") == self.task_id

    def _next_release(self, name: str, version: str) -> str:
        """The release after the newest.

        The hub counts on from the build that was made last. Releases of isolated builds are people's choice, such as
        ``3.1``: they must not make the next one ``4.1``, nor be in its way (the hub cannot count on from ``3.1.fix``).
        """
        try:
            following: str = self.session.getNextRelease({"name": name, "version": version})
        except koji.BuildError:
            following = ""
        if following and not _CHOSEN.fullmatch(following):
            return following
        states = [koji.BUILD_STATES[state] for state in ("BUILDING", "COMPLETE", "DELETED")]
        counted = [
            int(each["release"].partition(".")[0])
            for each in self.session.listBuilds(packageID=name)
            if each["version"] == version and each["state"] in states and _COUNTED.fullmatch(each["release"])
        ]
        return str(max(counted, default=0) + 1)

    def _reserve(self, nvr: NVR, source: str) -> Reservation:
        existing = self.session.getBuild(str(nvr))
        if existing and existing["state"] == koji.BUILD_STATES["BUILDING"]:
            self._take_over(existing)
        elif existing and existing["state"] not in REUSABLE:
            raise _TakenError(
                f"{nvr} is built already (build {existing['id']})",
                solution="raise the release label, or remove it to get the next release",
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
            made = self._init(data, nvr)
        except koji.GenericError as error:
            now = self.session.getBuild(str(nvr))
            if now and self._is_own(now):
                self._take_over(now)  # the answer was lost, and koji's client has asked again
                return self._held(nvr, self.session.CGInitBuild(self.generator, data))
            if now and now["state"] not in REUSABLE:
                raise _TakenError(f"{nvr} was taken by another build in this moment: {error}") from error
            raise
        return self._held(nvr, made)

    def _held(self, nvr: NVR, made: dict[str, Any]) -> Reservation:
        """A reservation that was just made, unless somebody has canceled it, taking it for the one before."""
        now = self.session.getBuild(made["build_id"])
        if now["state"] != koji.BUILD_STATES["BUILDING"] or not self._is_own(now):
            raise _TakenError(f"{nvr} was taken by another build in this moment", solution="build it again")
        return Reservation(nvr, made["build_id"], made["token"])

    def _heal(self, name: str) -> None:
        """Free what crashed builds of a package left reserved: the hub's next release would count it."""
        building = koji.BUILD_STATES["BUILDING"]
        for listed in self.session.listBuilds(packageID=name, state=building) if self._known(name) else []:
            build = self.session.getBuild(listed["build_id"])
            with contextlib.suppress(_TakenError):
                if build and build["cg_name"] == self.generator:
                    self._take_over(build)

    def _known(self, name: str) -> bool:
        return self.session.getPackageID(name) is not None

    def _init(self, data: dict[str, Any], nvr: NVR) -> Any:
        try:
            return self.session.CGInitBuild(self.generator, data)
        except koji.RetryError:
            # The answer, and the token in it, was lost: the reservation is ours, and must be made again.
            self._take_over(self.session.getBuild(str(nvr)))
            return self.session.CGInitBuild(self.generator, data)

    def _take_over(self, build: dict[str, Any]) -> None:
        """Free an NVR whose task is dead, or is this very task in an earlier run."""
        task_id = (build.get("extra") or {}).get("container_koji_task_id")
        if task_id is None and not self._is_own(build):
            raise _TakenError(f"{build['nvr']} is being built (build {build['id']})", solution="wait for it to end")
        task = None if self._is_own(build) else self.session.getTaskInfo(task_id)
        if task and task["state"] not in ENDED:
            raise _TakenError(
                f"{build['nvr']} is being built by task {task_id}",
                solution=f"wait for that task, or cancel it: koji cancel {task_id}",
            )
        now = self.session.getBuild(build["id"])
        if now["state"] in REUSABLE:
            return
        if _claimed(now) != _claimed(build):
            raise _TakenError(f"{build['nvr']} was taken by another build in this moment", solution="build it again")
        try:
            self.session.cancelBuild(build["id"])
        except koji.ActionNotAllowed as error:
            raise _TakenError(
                f"{build['nvr']} (build {build['id']}) was left reserved by {build['owner_name']}: {error}",
                solution=f"have an administrator free it: koji cancel {build['nvr']}; or build another release",
            ) from error

    def refund(self, reservation: Reservation, *, canceled: bool) -> None:
        """Give a reservation back, so that the NVR can be built again."""
        state = koji.BUILD_STATES["CANCELED" if canceled else "FAILED"]
        self.session.CGRefundBuild(self.generator, reservation.build_id, reservation.token, state)


class ImportReservations(Reservations):
    """Reserving for imports, which have no task: one that is repeated takes over what it left when it was killed.

    :param session: logged in as who imports
    :param generator: name of the content generator
    """

    _MARK = "container_import"

    def __init__(self, session: Any, generator: str) -> None:
        super().__init__(session, generator, task_id=0)

    @property
    def _claim(self) -> dict[str, Any]:
        return {self._MARK: True}

    def _is_own(self, build: dict[str, Any]) -> bool:
        return self._MARK in (build.get("extra") or {})


def _claimed(build: dict[str, Any]) -> tuple[Any, ...]:
    """What differs between two reservations of one build id."""
    return build["state"], build["creation_event_id"], build["extra"]


class _TakenError(BuildFailedError):
    """Somebody else has the NVR."""
