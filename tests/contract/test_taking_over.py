# SPDX-License-Identifier: GPL-2.0-or-later
"""Concurrent builds that find a stale reservation of their NVR: one gets it, the others fail with a clear error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.hub.reservation import ImportReservations, Reservation, Reservations
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.record.koji_import import ContentGeneratorImport
from fedpkg_container.image.record.metadata import Provenance
from fedpkg_container.image.resolve.names import BuildTags
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from tests.contract.images import ImageImporter
from tests.contract.support import Connect, HubAccess, new_name
from tests.contract.tasks import TaskBench

DIGEST = "sha256:" + "d" * 64


class _Meeting:
    """A session that runs a function once, before or after a certain method is called."""

    def __init__(self, session: Any, method: str, act: Callable[[], object], *, after: bool = False) -> None:
        self._session, self._method, self._act, self._after = session, method, act, after
        self._done = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._session, name)
        if name != self._method or self._done:
            return method
        self._done = True

        def meeting(*args: Any, **options: Any) -> Any:
            if not self._after:
                self._act()
            answer = method(*args, **options)
            if self._after:
                self._act()
            return answer

        return meeting


class _Builds:
    """Builds of one NVR, each by a running task, in sessions of the shared account."""

    def __init__(self, importer: ImageImporter, bench: TaskBench, connect: Callable[[], Any]) -> None:
        self.importer, self.bench, self.connect = importer, bench, connect

    def crash(self) -> None:
        """Leave the NVR reserved by an ended task."""
        self.importer.reserve("1", extra={"container_koji_task_id": self.bench.canceled_task()})

    def build(self, met: Callable[[Any], Any] = lambda session: session) -> Reservations:
        return Reservations(met(self.connect()), self.importer.generator, self.bench.free_task())

    def reserve(self, reservations: Reservations, release: str = "1") -> Reservation:
        made = reservations.reserve(self.importer.name, "1", release, "git+https://example.com/x#0123")
        self.importer.reserved.append(made.build_id)
        return made

    def state(self, build_id: int) -> str:
        name: str = koji.BUILD_STATES[self.importer.session.getBuild(build_id)["state"]]
        return name


@pytest.fixture
def builds(importer: ImageImporter, bench: TaskBench, connect: Connect, access: HubAccess) -> _Builds:
    return _Builds(importer, bench, lambda: connect(access.packager))


def _import(log: BuildLog, session: Any, reservation: Reservation, generator: str, *, task_id: int | None) -> None:
    """Import an image for which only metadata exists."""
    repository = ImageReference("registry.example.org", "contract")
    tag = f"{task_id or 'import'}-20260102030405"
    published = PublishedIndex(repository, DIGEST, "application/vnd.oci.image.index.v1+json", BuildTags(tag, "1-1"))
    provenance = Provenance(
        nvr=reservation.nvr,
        source_url="git+https://example.com/x#0123",
        task_id=task_id,
        owner=session.getLoggedInUser()["name"],
        generator=generator,
        started=1.0,
        ended=2.0,
        parents=[],
        base="",
        isolated=False,
        yum_repourls=[],
        help_file="",
    )
    image = BuiltImage(
        arch="x86_64", staged_image="", digest=DIGEST, media_type="", image_id="", config="{}", layers=[], diff_ids=[],
        components=[], files=[], buildroot=ImageImporter(session, generator).buildroot(),
    )  # fmt: skip
    directory = new_name("upload")
    ContentGeneratorImport(session, log).run(provenance, published, [image], reservation, directory)


def test_stale_reservation_is_taken_over_concurrently(builds: _Builds) -> None:
    builds.crash()
    first, made = builds.build(), []
    second = builds.build(lambda session: _Meeting(session, "getTaskInfo", lambda: made.append(builds.reserve(first))))
    with pytest.raises(BuildFailedError, match="another build has just reserved"):
        builds.reserve(second)
    assert builds.state(made[0].build_id) == "BUILDING"
    first.refund(made[0], canceled=False)  # its token is still the one that counts
    assert builds.state(made[0].build_id) == "FAILED"


def test_next_release_while_a_stale_reservation_is_taken_over(builds: _Builds) -> None:
    builds.crash()
    first, made = builds.build(), []
    second = builds.build(lambda session: _Meeting(session, "getTaskInfo", lambda: made.append(builds.reserve(first))))
    assert builds.reserve(second, "").nvr.release == "2"
    assert builds.state(made[0].build_id) == "BUILDING"


def test_stale_reservation_is_released_concurrently(builds: _Builds) -> None:
    builds.crash()
    nvr, admin = builds.importer.nvr("1"), builds.bench.admin
    second = builds.build(lambda session: _Meeting(session, "getTaskInfo", lambda: admin.cancelBuild(nvr)))
    assert builds.state(builds.reserve(second).build_id) == "BUILDING"


def test_new_reservation_is_canceled_immediately(builds: _Builds) -> None:
    builds.crash()
    nvr, admin = builds.importer.nvr("1"), builds.bench.admin
    build = builds.build(lambda session: _Meeting(session, "CGInitBuild", lambda: admin.cancelBuild(nvr), after=True))
    with pytest.raises(BuildFailedError, match="another build has just reserved"):
        builds.reserve(build)


def test_new_reservation_is_taken_immediately(builds: _Builds) -> None:
    builds.crash()
    nvr, admin, second = builds.importer.nvr("1"), builds.bench.admin, builds.build()

    def take() -> None:
        admin.cancelBuild(nvr)
        builds.reserve(second)

    first = builds.build(lambda session: _Meeting(session, "CGInitBuild", take, after=True))
    with pytest.raises(BuildFailedError, match="another build has just reserved"):
        builds.reserve(first)


@pytest.mark.parametrize("by_import", [True, False])
def test_loser_does_not_mistake_the_winners_build_for_its_own(builds: _Builds, tmp_path: Path, by_import: bool) -> None:
    """The hub may reuse the build ID of a lost reservation."""
    builds.crash()
    first, second, generator = builds.build(), builds.build(), builds.importer.generator
    lost = builds.reserve(first)
    builds.bench.admin.cancelBuild(lost.build_id)
    won = builds.reserve(second)
    assert (won.build_id, won.token != lost.token) == (lost.build_id, True)
    with BuildLog(tmp_path / "build.log") as log:
        _import(log, second.session, won, generator, task_id=None if by_import else second.task_id)
        with pytest.raises(koji.GenericError, match="Token doesn't match"):
            _import(log, first.session, lost, generator, task_id=first.task_id)
    assert builds.state(won.build_id) == "COMPLETE"


def test_import_after_losing_the_nvr(builds: _Builds, tmp_path: Path) -> None:
    session, generator = builds.connect(), builds.importer.generator
    imports = ImportReservations(session, generator)
    lost = imports.reserve(builds.importer.name, "1", "1", "docker://example.com/x")
    won = imports.reserve(builds.importer.name, "1", "1", "docker://example.com/x")
    build = builds.build()
    with BuildLog(tmp_path / "build.log") as log:
        _import(log, build.session, won, generator, task_id=build.task_id)
        with pytest.raises(koji.GenericError, match="Token doesn't match"):
            _import(log, session, lost, generator, task_id=None)


@pytest.mark.parametrize("is_import", [True, False])
def test_lost_response_of_an_import(builds: _Builds, tmp_path: Path, is_import: bool) -> None:
    """The hub has imported the build, and rejects the retry of koji's client."""

    def lose() -> None:
        raise koji.GenericError("Token doesn't match")

    build, generator = builds.build(), builds.importer.generator
    made = builds.reserve(build)
    session = _Meeting(build.session, "CGImport", lose, after=True)
    with BuildLog(tmp_path / "build.log") as log:
        _import(log, session, made, generator, task_id=None if is_import else build.task_id)
    assert builds.state(made.build_id) == "COMPLETE"


def test_stale_reservation_of_another_account(builds: _Builds, admin: Any, host: Any, packager_name: str) -> None:
    """Without a shared account of builders, only the owner of a reservation and administrators may cancel it."""
    owner, generator = host.getLoggedInUser()["name"], new_name("cg")
    for user in (packager_name, owner):
        admin.grantCGAccess(user, generator, create=True)
    other = replace(builds.importer, session=host, generator=generator)
    dead = other.reserve("1", extra={"container_koji_task_id": builds.bench.canceled_task()})["build_id"]
    build = builds.build()
    build.generator = generator
    with pytest.raises(BuildFailedError) as refused:
        builds.reserve(build)
    assert f"{other.nvr('1')} (build {dead})" in refused.value.reason
    assert owner in refused.value.reason
    assert f"koji cancel {other.nvr('1')}" in refused.value.solution
    assert builds.reserve(build, "").nvr == NVR(other.name, "1", "2")
    assert builds.state(dead) == "BUILDING"
