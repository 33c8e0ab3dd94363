# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries of builds."""

from __future__ import annotations

import re
from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.images import ImageImporter
from tests.contract.support import assert_refused, new_name
from tests.contract.tasks import TaskBench
from tests.contract.test_reservations import MISSING_BUILD


@pytest.fixture
def build(importer: ImageImporter) -> dict[str, Any]:
    return importer.imported("1")


def nvrs(builds: list[dict[str, Any]]) -> list[str]:
    return [build["nvr"] for build in builds]


def test_build(build: dict[str, Any], anonymous: Any) -> None:
    found = anonymous.getBuild(build["nvr"])
    assert set(found) == shapes.BUILD
    assert (found["id"], found["build_id"]) == (build["id"], build["id"])
    assert found["package_name"] == found["name"]
    assert (found["volume_id"], found["volume_name"], found["draft"]) == (0, "DEFAULT", False)
    assert [found[key] for key in ("promoter_id", "promoter_name", "promotion_time", "promotion_ts")] == [None] * 4
    assert isinstance(found["creation_event_id"], int)
    assert found["creation_time"].endswith("+00:00")


@pytest.mark.parametrize("form", ["id", "nvr", "map"])
def test_ways_to_name_a_build(build: dict[str, Any], anonymous: Any, form: str) -> None:
    by_map = {key: build[key] for key in ("name", "version", "release")}
    assert anonymous.getBuild(by_map if form == "map" else build[form]) == build


def test_missing_build(anonymous: Any) -> None:
    assert anonymous.getBuild("contract-none-1-1") is None
    assert anonymous.getBuild(MISSING_BUILD) is None
    with assert_refused(1000, "No such build: 'contract-none-1-1'"):
        anonymous.getBuild("contract-none-1-1", strict=True)
    with assert_refused(1000, f"No such build: {MISSING_BUILD}"):
        anonymous.getBuild(MISSING_BUILD, strict=True)


def test_invalid_nvr(anonymous: Any) -> None:
    with assert_refused(1000, "invalid format: nonsense"):
        anonymous.getBuild("nonsense")


def test_builds_of_a_task(importer: ImageImporter, bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.open_task()
    importer.imported("1", extra={"container_koji_task_id": task_id, "image": {}})
    importer.reserve("2", task_id=task_id)
    found = anonymous.listBuilds(taskID=task_id)
    assert sorted(nvrs(found)) == [importer.nvr("1"), importer.nvr("2")]
    assert all(set(one) == shapes.LISTED_BUILD for one in found)
    assert {one["task_id"] for one in found} == {task_id}


def test_no_builds_of_a_task(bench: TaskBench, anonymous: Any) -> None:
    assert anonymous.listBuilds(taskID=bench.free_task()) == []


def test_builds_of_a_package(importer: ImageImporter, build: dict[str, Any], anonymous: Any) -> None:
    assert nvrs(anonymous.listBuilds(packageID=build["package_id"])) == [build["nvr"]]
    assert nvrs(anonymous.listBuilds(packageID=build["name"])) == [build["nvr"]]
    assert anonymous.listBuilds(packageID="contract-no-package") == []


def test_builds_by_state(importer: ImageImporter, build: dict[str, Any], anonymous: Any) -> None:
    importer.reserve("2")
    states = koji.BUILD_STATES
    for name, expected in (("COMPLETE", [build["nvr"]]), ("BUILDING", [importer.nvr("2")]), ("FAILED", [])):
        assert nvrs(anonymous.listBuilds(packageID=build["package_id"], state=states[name])) == expected


def test_builds_of_a_user(build: dict[str, Any], anonymous: Any, packager_name: str) -> None:
    found = anonymous.listBuilds(userID=packager_name, packageID=build["package_id"])
    assert nvrs(found) == [build["nvr"]]
    assert anonymous.listBuilds(userID=build["owner_id"], packageID=build["package_id"]) == found


def test_builds_of_another_user(build: dict[str, Any], admin: Any) -> None:
    assert admin.listBuilds(userID=admin.getLoggedInUser()["id"], packageID=build["package_id"]) == []


def test_builds_in_order(importer: ImageImporter, build: dict[str, Any], anonymous: Any) -> None:
    importer.reserve("2")
    query = {"order": "-build_id", "limit": 1}
    assert nvrs(anonymous.listBuilds(packageID=build["package_id"], queryOpts=query)) == [importer.nvr("2")]
    query = {"order": "build_id"}
    found = nvrs(anonymous.listBuilds(packageID=build["package_id"], queryOpts=query))
    assert found == [importer.nvr("1"), importer.nvr("2")]


def test_builds_by_time_of_completion(build: dict[str, Any], anonymous: Any) -> None:
    completed = anonymous.getBuild(build["build_id"])["completion_ts"]
    for seconds, found in ((-3600, [build["nvr"]]), (3600, [])):
        after = completed + seconds
        assert nvrs(anonymous.listBuilds(packageID=build["package_id"], completeAfter=after)) == found


def test_count_of_builds(importer: ImageImporter, build: dict[str, Any], anonymous: Any) -> None:
    importer.reserve("2")
    assert anonymous.listBuilds(packageID=build["package_id"], queryOpts={"countOnly": True}) == 2


def test_builds_of_a_kind(build: dict[str, Any], anonymous: Any) -> None:
    assert nvrs(anonymous.listBuilds(packageID=build["package_id"], type="image")) == [build["nvr"]]


def test_a_listed_build_lacks_only_the_generator(build: dict[str, Any], anonymous: Any) -> None:
    (found,) = anonymous.listBuilds(packageID=build["package_id"])
    assert found == {key: value for key, value in build.items() if key not in ("id", "cg_id", "cg_name")}


def test_logs_of_a_build(build: dict[str, Any], anonymous: Any) -> None:
    logs = {log["name"]: log for log in anonymous.getBuildLogs(build["nvr"])}
    directory = f"packages/{build['name']}/1/1/data/logs"
    assert logs["x86_64-1.log"] == {"name": "x86_64-1.log", "dir": ".", "path": f"{directory}/./x86_64-1.log"}


def test_next_release(importer: ImageImporter, packager: Any) -> None:
    base = {"name": importer.name, "version": "1"}
    assert packager.getNextRelease(base) == "1"
    reservation = importer.reserve("7")
    assert packager.getNextRelease(base) == "8"
    packager.CGRefundBuild(importer.generator, reservation["build_id"], reservation["token"])
    assert packager.getNextRelease(base) == "1"


def test_next_release_keeps_what_follows_the_number(importer: ImageImporter, packager: Any) -> None:
    importer.imported("3.fc43")
    assert packager.getNextRelease({"name": importer.name, "version": "1"}) == "4.fc43"
    assert packager.getNextRelease({"name": importer.name, "version": "2"}) == "1"


def test_next_release_that_cannot_be_counted(importer: ImageImporter, packager: Any) -> None:
    importer.imported("x.y")
    with assert_refused(1005, "Unable to increment release value: x.y"):
        packager.getNextRelease({"name": importer.name, "version": "1"})


def test_average_duration(importer: ImageImporter, bench: TaskBench, anonymous: Any) -> None:
    task_id = bench.free_task()
    reservation = importer.reserve("1", task_id=task_id)
    importer.imported("1", reservation["token"], build_id=reservation["build_id"], task_id=task_id)
    build = anonymous.getBuild(importer.nvr("1"))
    average = anonymous.getAverageBuildDuration(importer.name)
    assert average == pytest.approx(build["completion_ts"] - build["creation_ts"], abs=0.001)


def test_average_duration_leaves_out_builds_without_a_task(build: dict[str, Any], anonymous: Any) -> None:
    assert anonymous.getAverageBuildDuration(build["name"]) is None


def test_average_duration_of_nothing(anonymous: Any) -> None:
    assert anonymous.getAverageBuildDuration("contract-no-package") is None


def test_empty_build(admin: Any) -> None:
    name = new_name("package")
    build_id = admin.createEmptyBuild(name, "1", "1", None)
    build = admin.getBuild(f"{name}-1-1")
    assert set(build) == shapes.BUILD
    assert (build["id"], koji.BUILD_STATES[build["state"]]) == (build_id, "COMPLETE")
    assert (build["cg_id"], build["cg_name"], build["task_id"]) == (None, None, None)
    assert build["owner_id"] == admin.getLoggedInUser()["id"]


def test_empty_build_twice(admin: Any) -> None:
    name = new_name("package")
    build_id = admin.createEmptyBuild(name, "1", "1", None)
    with assert_refused(1000, re.compile(rf"^Build already exists \(id={build_id}, state=COMPLETE\): ")):
        admin.createEmptyBuild(name, "1", "1", None)


def test_empty_build_of_another_owner(admin: Any, packager_name: str) -> None:
    build_id = admin.createEmptyBuild(new_name("package"), "1", "1", 2, owner=packager_name)
    build = admin.getBuild(build_id)
    assert (build["owner_name"], build["epoch"]) == (packager_name, 2)


def test_empty_build_by_a_packager(packager: Any, packager_name: str) -> None:
    with assert_refused(1004, f"admin permission required (logged in as {packager_name})"):
        packager.createEmptyBuild(new_name("package"), "1", "1", None)
