# SPDX-License-Identifier: GPL-2.0-or-later
"""CGImport of image builds: accepted metadata, resulting records, and errors."""

from __future__ import annotations

import json
import re
from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.images import INDEX, ImageImporter
from tests.contract.support import assert_refused
from tests.contract.tasks import TaskBench


def refuse(importer: ImageImporter, code: int, message: str | re.Pattern[str], metadata: dict[str, Any]) -> None:
    """Assert that the import fails and leaves no build."""
    with assert_refused(code, message):
        importer.session.CGImport(metadata, importer.directory)
    assert importer.session.getBuild(importer.nvr("1")) is None


def test_import(importer: ImageImporter, bench: TaskBench, packager_name: str) -> None:
    task_id = bench.free_task()
    build = importer.imported("1", extra={"image": INDEX, "container_koji_task_id": task_id})
    assert set(build) == shapes.BUILD
    assert build == importer.session.getBuild(importer.nvr("1"))
    assert koji.BUILD_STATES[build["state"]] == "COMPLETE"
    assert (build["nvr"], build["task_id"]) == (importer.nvr("1"), task_id)
    assert (build["cg_name"], build["owner_name"]) == (importer.generator, packager_name)
    assert build["source"] == "git+https://example.com/container/contract#0123"


def test_times_are_those_of_the_metadata(importer: ImageImporter) -> None:
    metadata = importer.metadata("1", importer.outputs("1"))
    build = importer.session.CGImport(metadata, importer.directory)
    assert build["start_ts"] == pytest.approx(metadata["build"]["start_time"], abs=0.001)
    assert build["completion_ts"] == pytest.approx(metadata["build"]["end_time"], abs=0.001)


def test_the_hub_adds_the_kind(importer: ImageImporter) -> None:
    build = importer.imported("1", extra={"image": INDEX, "other": [1]})
    assert build["extra"] == {"image": INDEX, "other": [1], "typeinfo": {"image": INDEX}}


def test_the_new_form_of_the_kind_stays(importer: ImageImporter) -> None:
    build = importer.imported("1", extra={"typeinfo": {"image": INDEX}})
    assert build["extra"] == {"typeinfo": {"image": INDEX}}


def test_no_task(importer: ImageImporter) -> None:
    assert importer.imported("1")["task_id"] is None


def test_owner(importer: ImageImporter, admin: Any) -> None:
    owner = admin.getLoggedInUser()["name"]
    assert importer.imported("1", owner=owner)["owner_name"] == owner


def test_into_a_reservation(importer: ImageImporter) -> None:
    reservation = importer.reserve("1")
    build = importer.imported("1", reservation["token"], build_id=reservation["build_id"])
    assert build["id"] == reservation["build_id"]
    assert koji.BUILD_STATES[build["state"]] == "COMPLETE"
    assert build["extra"] == {"image": INDEX, "typeinfo": {"image": INDEX}}
    with assert_refused(1000, f"Build ID {build['id']} is not in BUILDING state"):
        importer.session.CGRefundBuild(importer.generator, build["id"], reservation["token"])


def test_the_times_of_a_reservation_are_its_own(importer: ImageImporter) -> None:
    reservation = importer.reserve("1")
    started = importer.session.getBuild(reservation["build_id"])["start_ts"]
    build = importer.imported("1", reservation["token"], build_id=reservation["build_id"], start_time=1, end_time=2)
    assert build["start_ts"] == started
    assert build["completion_ts"] >= started


def test_into_a_reservation_with_a_task(importer: ImageImporter, bench: TaskBench) -> None:
    task_id, other = bench.free_task(), bench.free_task()
    reservation = importer.reserve("1", task_id=task_id)
    known: dict[str, Any] = {"build_id": reservation["build_id"], "extra": {"image": INDEX}}
    with assert_refused(1000, f"Build is owned by task {task_id}"):
        importer.imported("1", reservation["token"], task_id=other, **known)
    build = importer.session.CGImport(
        importer.metadata("1", importer.outputs("1"), task_id=task_id, **known),
        importer.directory,
        reservation["token"],
    )
    assert build["task_id"] == task_id


@pytest.mark.parametrize("token", [None, "wrong"])
def test_into_a_reservation_without_its_token(importer: ImageImporter, token: str | None) -> None:
    build_id = importer.reserve("1")["build_id"]
    with assert_refused(1000, f"Token doesn't match build ID {build_id}"):
        importer.imported("1", token, build_id=build_id)
    assert importer.session.getBuild(build_id)["state"] == koji.BUILD_STATES["BUILDING"]


def test_a_token_without_a_build(importer: ImageImporter) -> None:
    reservation = importer.reserve("1")
    with assert_refused(1000, "Reservation token given, but no build_id in metadata"):
        importer.imported("1", reservation["token"])


def test_a_reservation_of_another_nvr(importer: ImageImporter) -> None:
    reservation = importer.reserve("1")
    with assert_refused(1000, f"Build ({reservation['build_id']}) NVR is different"):
        importer.imported("2", reservation["token"], build_id=reservation["build_id"])


def _exists(importer: ImageImporter, build_id: int) -> re.Pattern[str]:
    """Return the error for an existing build: up to koji 1.35 it contains the whole build record."""
    return re.compile(rf"^Build already exists: ({importer.nvr('1')} \(id={build_id}\)$|\{{'build_id': {build_id}, )")


def test_over_a_reservation(importer: ImageImporter) -> None:
    build_id = importer.reserve("1")["build_id"]
    with assert_refused(1000, _exists(importer, build_id)):
        importer.imported("1")


def test_twice(importer: ImageImporter) -> None:
    build = importer.imported("1")
    with assert_refused(1000, _exists(importer, build["id"])):
        importer.session.CGImport(importer.metadata("1", []), importer.directory)


def test_over_a_failed_build(importer: ImageImporter) -> None:
    reservation = importer.reserve("1")
    importer.session.CGRefundBuild(importer.generator, reservation["build_id"], reservation["token"])
    build = importer.imported("1")
    assert build["id"] == reservation["build_id"]
    assert koji.BUILD_STATES[build["state"]] == "COMPLETE"


def test_without_access(importer: ImageImporter, admin: Any) -> None:
    with assert_refused(1002, f"Content generator access required ({importer.generator})"):
        admin.CGImport(importer.metadata("1", importer.outputs("1")), importer.directory)


def test_without_a_login(importer: ImageImporter, anonymous: Any) -> None:
    with assert_refused(1002, "Not logged-in"):
        anonymous.CGImport(importer.metadata("1", importer.outputs("1")), importer.directory)


def test_another_version_of_the_metadata(importer: ImageImporter) -> None:
    metadata = importer.metadata("1", importer.outputs("1"))
    refuse(importer, 1000, "No such metadata version: 9", {**metadata, "metadata_version": 9})


def test_wrong_checksum(importer: ImageImporter) -> None:
    image, log = importer.outputs("1")
    message = f"File checksum mismatch for {image['filename']}: {'0' * 64} != {image['checksum']}"
    refuse(importer, 1000, message, importer.metadata("1", [{**image, "checksum": "0" * 64}, log]))


def test_wrong_size(importer: ImageImporter) -> None:
    image, log = importer.outputs("1")
    name, size = image["filename"], image["filesize"]
    message = f"File size {size} for {name} (expected 1) doesn't match. Corrupted upload?"
    refuse(importer, 1000, message, importer.metadata("1", [{**image, "filesize": 1}, log]))


def test_missing_upload(importer: ImageImporter) -> None:
    image, log = importer.outputs("1")
    outputs = [{**image, "filename": "elsewhere.tar.gz"}, log]
    refuse(importer, 1, re.compile(r"FileNotFoundError.*elsewhere\.tar\.gz"), importer.metadata("1", outputs))


def test_two_forms_of_the_kind_in_a_build(importer: ImageImporter) -> None:
    extra = {"image": INDEX, "typeinfo": {"image": INDEX}}
    metadata = importer.metadata("1", importer.outputs("1"), extra=extra)
    refuse(importer, 1000, "Duplicate typeinfo for 'image'", metadata)


def test_two_forms_of_the_kind_in_an_output(importer: ImageImporter) -> None:
    image, log = importer.outputs("1")
    image["extra"] = {"image": {"arch": "x86_64"}, "typeinfo": {"image": {}}}
    refuse(importer, 1000, "Duplicate typeinfo for: 'image'", importer.metadata("1", [image, log]))


def test_an_output_of_no_kind(importer: ImageImporter) -> None:
    image, log = importer.outputs("1")
    metadata = importer.metadata("1", [{**image, "extra": {}}, log])
    refuse(importer, 1000, f"No typeinfo for: {image['filename']}", metadata)


def test_an_output_of_a_kind_that_the_build_lacks(importer: ImageImporter) -> None:
    metadata = importer.metadata("1", importer.outputs("1"), extra={})
    refuse(importer, 1000, "Output type image not listed in build types", metadata)


def test_an_output_of_an_unknown_buildroot(importer: ImageImporter) -> None:
    image, log = importer.outputs("1")
    metadata = importer.metadata("1", [image, {**log, "buildroot_id": 2}])
    refuse(importer, 1000, "Missing buildroot metadata for id 2", metadata)


def test_a_buildroot_without_outputs(importer: ImageImporter) -> None:
    refuse(importer, 1000, "Buildroot id not used in output: 1", importer.metadata("1", []))


def test_an_unknown_kind_of_component(importer: ImageImporter) -> None:
    metadata = importer.metadata("1", importer.outputs("1"))
    metadata["buildroots"][0]["components"] = [{"type": "wheel"}]
    refuse(importer, 1000, "No such component type: wheel", metadata)


def test_metadata_as_text(importer: ImageImporter) -> None:
    text = json.dumps(importer.metadata("1", importer.outputs("1")))
    assert importer.session.CGImport(text, importer.directory)["nvr"] == importer.nvr("1")
