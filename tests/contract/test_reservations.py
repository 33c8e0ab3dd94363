# SPDX-License-Identifier: GPL-2.0-or-later
"""Reserving and refunding an NVR as a content generator."""

from __future__ import annotations

import re
from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.images import ImageImporter
from tests.contract.support import assert_refused, new_name
from tests.contract.tasks import TaskBench

MISSING_BUILD = 2**31 - 2


def state(session: Any, build: Any) -> str:
    name: str = koji.BUILD_STATES[session.getBuild(build)["state"]]
    return name


def test_access_is_given_once(admin: Any, generator: str, packager_name: str) -> None:
    with assert_refused(1000, f"User already has access to content generator {generator}"):
        admin.grantCGAccess(packager_name, generator)


def test_access_to_an_unknown_generator(admin: Any, packager_name: str) -> None:
    with assert_refused(1000, "No such entry in table content_generator: contract-no-cg"):
        admin.grantCGAccess(packager_name, "contract-no-cg")


def test_access_given_by_a_packager(packager: Any, packager_name: str, generator: str) -> None:
    with assert_refused(1004, f"admin permission required (logged in as {packager_name})"):
        packager.grantCGAccess(packager_name, generator)


def test_access_for_two(admin: Any, packager_name: str) -> None:
    generator = new_name("cg")
    user = new_name("user")
    assert isinstance(admin.createUser(user), int)
    assert admin.grantCGAccess(packager_name, generator, create=True) is None
    assert admin.grantCGAccess(user, generator) is None
    for name in (packager_name, user):
        with assert_refused(1000, f"User already has access to content generator {generator}"):
            admin.grantCGAccess(name, generator)


def test_reservation(importer: ImageImporter, anonymous: Any, packager_name: str) -> None:
    reservation = importer.reserve("1")
    assert set(reservation) == {"build_id", "token"}
    assert isinstance(reservation["build_id"], int)
    assert isinstance(reservation["token"], str)
    build = anonymous.getBuild(reservation["build_id"])
    assert set(build) == shapes.BUILD
    assert (build["nvr"], koji.BUILD_STATES[build["state"]]) == (importer.nvr("1"), "BUILDING")
    assert (build["cg_name"], build["owner_name"]) == (importer.generator, packager_name)
    assert (build["task_id"], build["extra"], build["source"], build["epoch"]) == (None, None, None, None)
    assert (build["completion_time"], build["completion_ts"]) == (None, None)
    assert isinstance(build["start_ts"], float)


def test_twice(importer: ImageImporter) -> None:
    importer.reserve("1")
    with assert_refused(1000, "Build is already reserved"):
        importer.reserve("1")


def test_twice_with_a_task(importer: ImageImporter, bench: TaskBench) -> None:
    task_id = bench.free_task()
    importer.reserve("1", task_id=task_id)
    with assert_refused(1000, "Build is already reserved"):
        importer.reserve("1", task_id=task_id)
    with assert_refused(1000, f"Build already in progress (task {task_id})"):
        importer.reserve("1", task_id=bench.free_task())
    with assert_refused(1000, f"Build already in progress (task {task_id})"):
        importer.reserve("1")


def test_of_a_complete_build(importer: ImageImporter) -> None:
    build = importer.imported("1")
    with assert_refused(1000, re.compile(rf"^Build already exists \(id={build['id']}, state=COMPLETE\): ")):
        importer.reserve("1")


def test_without_a_name(importer: ImageImporter) -> None:
    with assert_refused(1000, "No name or package id provided for build"):
        importer.session.CGInitBuild(importer.generator, {"version": "1", "release": "1"})


@pytest.mark.parametrize("part", ["version", "release"])
def test_hyphens(importer: ImageImporter, part: str) -> None:
    with assert_refused(1000, f'The "-" character not allowed in {part} field'):
        importer.session.CGInitBuild(importer.generator, {**importer.data("1"), part: "1-2"})


def test_without_access(importer: ImageImporter, admin: Any) -> None:
    with assert_refused(1002, f"Content generator access required ({importer.generator})"):
        admin.CGInitBuild(importer.generator, importer.data("1"))


def test_without_a_login(importer: ImageImporter, anonymous: Any) -> None:
    with assert_refused(1002, "Not logged-in"):
        anonymous.CGInitBuild(importer.generator, importer.data("1"))


def test_for_an_unknown_generator(importer: ImageImporter, packager: Any) -> None:
    with assert_refused(1000, "No such entry in table content_generator: contract-no-cg"):
        packager.CGInitBuild("contract-no-cg", importer.data("1"))


def test_refund(importer: ImageImporter, packager: Any) -> None:
    reservation = importer.reserve("1")
    assert packager.CGRefundBuild(importer.generator, reservation["build_id"], reservation["token"]) is None
    build = packager.getBuild(reservation["build_id"])
    assert koji.BUILD_STATES[build["state"]] == "FAILED"
    assert build["completion_ts"] >= build["start_ts"]


def test_refund_as_canceled(importer: ImageImporter, packager: Any) -> None:
    reservation = importer.reserve("1")
    canceled = koji.BUILD_STATES["CANCELED"]
    packager.CGRefundBuild(importer.generator, reservation["build_id"], reservation["token"], canceled)
    assert state(packager, importer.nvr("1")) == "CANCELED"


def test_refund_as_complete(importer: ImageImporter, packager: Any) -> None:
    reservation = importer.reserve("1")
    complete = koji.BUILD_STATES["COMPLETE"]
    with assert_refused(1000, "Only FAILED/CANCELED build states are allowed"):
        packager.CGRefundBuild(importer.generator, reservation["build_id"], reservation["token"], complete)


def test_refund_with_a_wrong_token(importer: ImageImporter, packager: Any) -> None:
    build_id = importer.reserve("1")["build_id"]
    with assert_refused(1000, f"Token doesn't match build ID {build_id}"):
        packager.CGRefundBuild(importer.generator, build_id, "wrong")
    assert state(packager, build_id) == "BUILDING"


def test_refund_twice(importer: ImageImporter, packager: Any) -> None:
    reservation = importer.reserve("1")
    build_id = reservation["build_id"]
    packager.CGRefundBuild(importer.generator, build_id, reservation["token"])
    with assert_refused(1000, f"Build ID {build_id} is not in BUILDING state"):
        packager.CGRefundBuild(importer.generator, build_id, reservation["token"])


def test_refund_of_a_missing_build(importer: ImageImporter, packager: Any) -> None:
    with assert_refused(1000, f"No such build: {MISSING_BUILD}"):
        packager.CGRefundBuild(importer.generator, MISSING_BUILD, "x")


def test_refund_for_another_generator(importer: ImageImporter, admin: Any, packager_name: str) -> None:
    reservation, other = importer.reserve("1"), new_name("cg")
    admin.grantCGAccess(packager_name, other, create=True)
    with assert_refused(1000, f"Build ID {reservation['build_id']} is not reserved by this CG"):
        importer.session.CGRefundBuild(other, reservation["build_id"], reservation["token"])


def test_reserving_what_failed(importer: ImageImporter, packager: Any) -> None:
    first = importer.reserve("1")
    packager.CGRefundBuild(importer.generator, first["build_id"], first["token"])
    second = importer.reserve("1")
    assert second["build_id"] == first["build_id"]
    assert second["token"] != first["token"]
    assert state(packager, importer.nvr("1")) == "BUILDING"


def test_reserving_what_was_canceled(importer: ImageImporter, packager: Any) -> None:
    first = importer.reserve("1")
    packager.cancelBuild(first["build_id"])
    assert importer.reserve("1")["build_id"] == first["build_id"]


def test_cancel_by_the_account_that_reserved(importer: ImageImporter, packager: Any) -> None:
    reservation = importer.reserve("1")
    assert packager.cancelBuild(reservation["build_id"]) is True
    assert state(packager, reservation["build_id"]) == "CANCELED"
    with assert_refused(1000, f"Build ID {reservation['build_id']} is not in BUILDING state"):
        packager.CGRefundBuild(importer.generator, reservation["build_id"], reservation["token"])


def test_cancel_by_nvr(importer: ImageImporter, packager: Any) -> None:
    importer.reserve("1")
    assert packager.cancelBuild(importer.nvr("1")) is True


def test_cancel_twice(importer: ImageImporter, packager: Any) -> None:
    build_id = importer.reserve("1")["build_id"]
    packager.cancelBuild(build_id)
    assert packager.cancelBuild(build_id) is False


def test_cancel_of_a_complete_build(importer: ImageImporter, packager: Any) -> None:
    build = importer.imported("1")
    assert packager.cancelBuild(build["id"]) is False
    assert state(packager, build["id"]) == "COMPLETE"


def test_cancel_by_an_admin(importer: ImageImporter, admin: Any) -> None:
    assert admin.cancelBuild(importer.reserve("1")["build_id"]) is True


def test_cancel_by_somebody_else(importer: ImageImporter, host: Any) -> None:
    build_id = importer.reserve("1")["build_id"]
    with assert_refused(1004, "Cannot cancel build, not owner"):
        host.cancelBuild(build_id)
    assert state(host, build_id) == "BUILDING"


def test_cancel_by_nobody(importer: ImageImporter, anonymous: Any) -> None:
    with assert_refused(1004, "you must be logged in for this operation"):
        anonymous.cancelBuild(importer.reserve("1")["build_id"])


def test_cancel_of_a_missing_build(packager: Any) -> None:
    assert packager.cancelBuild("contract-none-1-1") is False
    with assert_refused(1000, "No such build: 'contract-none-1-1'"):
        packager.cancelBuild("contract-none-1-1", strict=True)


def test_canceling_the_task_cancels_its_build(importer: ImageImporter, bench: TaskBench, packager: Any) -> None:
    task_id = bench.free_task()
    importer.reserve("1", task_id=task_id)
    packager.cancelTask(task_id)
    assert state(packager, importer.nvr("1")) == "CANCELED"


def test_canceling_the_build_cancels_its_task(importer: ImageImporter, bench: TaskBench, packager: Any) -> None:
    task_id = bench.open_task()
    child = bench.child(task_id)
    importer.reserve("1", task_id=task_id)
    assert packager.cancelBuild(importer.nvr("1")) is True
    assert [bench.state(task) for task in (task_id, child)] == ["CANCELED", "CANCELED"]


def test_a_failed_task_keeps_its_reservation(importer: ImageImporter, bench: TaskBench, packager: Any) -> None:
    task_id = bench.failed_task(1005, "boom")
    importer.reserve("1", task_id=task_id)
    assert state(packager, importer.nvr("1")) == "BUILDING"
