# SPDX-License-Identifier: GPL-2.0-or-later
"""Tagging builds: tagBuild creates a task, which calls host.tagBuild."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.images import ImageImporter
from tests.contract.support import assert_refused
from tests.contract.tasks import Target, TaskBench


@pytest.fixture
def build(importer: ImageImporter) -> dict[str, Any]:
    return importer.imported("1")


@pytest.fixture
def listed(target: Target, admin: Any, build: dict[str, Any], packager_name: str) -> Target:
    """A target whose destination tag lists the build's package."""
    admin.packageListAdd(target.dest_tag_name, build["name"], packager_name)
    return target


@pytest.fixture
def tagging(bench: TaskBench, listed: Target, build: dict[str, Any], host: Any) -> int:
    """An open task of the packager that has tagged the build."""
    task_id = bench.open_task()
    assert host.host.tagBuild(task_id, listed.dest_tag_name, build["nvr"]) is None
    return task_id


def test_a_request_makes_a_task(bench: TaskBench, listed: Target, build: dict[str, Any], packager: Any) -> None:
    task_id = bench.remember(packager.tagBuild(listed.dest_tag_name, build["nvr"]))
    info = packager.getTaskInfo(task_id, request=True)
    assert (info["method"], info["priority"], info["parent"]) == ("tagBuild", 10, None)
    assert info["request"] == [listed.dest_tag, build["id"], False, None]
    assert info["channel_id"] == packager.getChannel("default")["id"]
    assert packager.listTagged(listed.dest_tag) == []


def test_a_request_for_what_is_tagged(
    bench: TaskBench, tagging: int, listed: Target, build: dict[str, Any], packager: Any
) -> None:
    task_id = bench.remember(packager.tagBuild(listed.dest_tag_name, build["nvr"]))
    assert packager.getTaskInfo(task_id)["method"] == "tagBuild"


def test_package_not_listed(bench: TaskBench, target: Target, build: dict[str, Any], host: Any) -> None:
    message = f"Package {build['name']} not in list for {target.dest_tag_name}"
    with assert_refused(1003, message):
        bench.packager.tagBuild(target.dest_tag_name, build["nvr"])
    with assert_refused(1003, message):
        host.host.tagBuild(bench.open_task(), target.dest_tag_name, build["nvr"])


def test_package_blocked(bench: TaskBench, listed: Target, build: dict[str, Any], host: Any) -> None:
    bench.admin.packageListBlock(listed.dest_tag_name, build["name"])
    message = f"Package {build['name']} blocked in {listed.dest_tag_name}"
    with assert_refused(1003, message):
        bench.packager.tagBuild(listed.dest_tag_name, build["nvr"])
    with assert_refused(1003, message):
        host.host.tagBuild(bench.open_task(), listed.dest_tag_name, build["nvr"])


def test_locked_tag(bench: TaskBench, listed: Target, build: dict[str, Any], host: Any) -> None:
    bench.admin.editTag2(listed.dest_tag_name, locked=True)
    with assert_refused(1004, "tag is locked"):
        bench.packager.tagBuild(listed.dest_tag_name, build["nvr"])
    with assert_refused(1004, "tag is locked"):
        host.host.tagBuild(bench.open_task(), listed.dest_tag_name, build["nvr"])


def test_missing_tag(bench: TaskBench, build: dict[str, Any], host: Any) -> None:
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        bench.packager.tagBuild("contract-no-tag", build["nvr"])
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        host.host.tagBuild(bench.open_task(), "contract-no-tag", build["nvr"])


def test_missing_build(bench: TaskBench, listed: Target, host: Any) -> None:
    with assert_refused(1000, "No such build: 'contract-none-1-1'"):
        bench.packager.tagBuild(listed.dest_tag_name, "contract-none-1-1")
    with assert_refused(1000, "No such build: 'contract-none-1-1'"):
        host.host.tagBuild(bench.open_task(), listed.dest_tag_name, "contract-none-1-1")


def test_unfinished_build(bench: TaskBench, listed: Target, importer: ImageImporter, host: Any) -> None:
    importer.reserve("2")
    message = f"build {importer.nvr('2')} not complete: state BUILDING"
    with assert_refused(1003, message):
        bench.packager.tagBuild(listed.dest_tag_name, importer.nvr("2"))
    with assert_refused(1003, message):
        host.host.tagBuild(bench.open_task(), listed.dest_tag_name, importer.nvr("2"))


def test_without_login(listed: Target, build: dict[str, Any], anonymous: Any) -> None:
    with assert_refused(1004, "you must be logged in for this operation"):
        anonymous.tagBuild(listed.dest_tag_name, build["nvr"])


def test_tagging_again(tagging: int, listed: Target, build: dict[str, Any], host: Any) -> None:
    with assert_refused(1003, f"build {build['nvr']} already tagged ({listed.dest_tag_name})"):
        host.host.tagBuild(tagging, listed.dest_tag_name, build["nvr"])


def test_tagging_by_ids(bench: TaskBench, listed: Target, build: dict[str, Any], host: Any) -> None:
    assert host.host.tagBuild(bench.open_task(), listed.dest_tag, build["id"]) is None
    assert [found["nvr"] for found in host.listTagged(listed.dest_tag)] == [build["nvr"]]


def test_tagging_for_a_task_that_is_not_open(
    bench: TaskBench, listed: Target, build: dict[str, Any], host: Any
) -> None:
    task_id = bench.closed_task(1)
    with assert_refused(1004, f"host {host.host.getID()} does not own task {task_id}"):
        host.host.tagBuild(task_id, listed.dest_tag_name, build["nvr"])


def test_tagged(tagging: int, listed: Target, build: dict[str, Any], anonymous: Any) -> None:
    (found,) = anonymous.listTagged(listed.dest_tag_name)
    assert set(found) == shapes.TAGGED_BUILD
    assert (found["id"], found["build_id"], found["nvr"]) == (build["id"], build["id"], build["nvr"])
    assert (found["tag_id"], found["tag_name"]) == (listed.dest_tag, listed.dest_tag_name)
    assert koji.BUILD_STATES[found["state"]] == "COMPLETE"


def test_tagged_with_extra(tagging: int, listed: Target, build: dict[str, Any], anonymous: Any) -> None:
    (found,) = anonymous.listTagged(listed.dest_tag_name, extra=True)
    assert set(found) == shapes.TAGGED_BUILD | {"extra"}
    assert found["extra"] == build["extra"]


def test_latest_of_a_package(
    tagging: int, listed: Target, importer: ImageImporter, build: dict[str, Any], host: Any
) -> None:
    second = importer.imported("2")
    host.host.tagBuild(tagging, listed.dest_tag_name, second["nvr"])
    assert [found["release"] for found in host.listTagged(listed.dest_tag_name)] == ["2", "1"]
    (latest,) = host.listTagged(listed.dest_tag_name, latest=True, package=build["name"])
    assert latest["nvr"] == second["nvr"]
    assert host.listTagged(listed.dest_tag_name, package="contract-no-package") == []


def test_tagged_in_a_missing_tag(anonymous: Any) -> None:
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        anonymous.listTagged("contract-no-tag")
    assert anonymous.listTagged("contract-no-tag", strict=False) == []


def test_tags_of_a_build(tagging: int, listed: Target, build: dict[str, Any], anonymous: Any) -> None:
    (tag,) = anonymous.listTags(build=build["id"])
    assert set(tag) == shapes.LISTED_TAG
    assert (tag["id"], tag["name"]) == (listed.dest_tag, listed.dest_tag_name)
    assert anonymous.listTags(build=build["nvr"]) == [tag]


def test_no_tags_of_a_build(build: dict[str, Any], anonymous: Any) -> None:
    assert anonymous.listTags(build=build["nvr"]) == []


def test_tags_of_a_missing_build(anonymous: Any) -> None:
    with assert_refused(1000, "No such build: contract-none-1-1"):
        anonymous.listTags(build="contract-none-1-1")


def test_tags_of_a_package(listed: Target, build: dict[str, Any], anonymous: Any) -> None:
    assert [tag["name"] for tag in anonymous.listTags(package=build["name"])] == [listed.dest_tag_name]


def test_untagging(tagging: int, listed: Target, build: dict[str, Any], packager: Any) -> None:
    assert packager.untagBuild(listed.dest_tag_name, build["nvr"]) is None
    assert packager.listTagged(listed.dest_tag_name) == []


def test_untagging_what_is_not_tagged(listed: Target, build: dict[str, Any], packager: Any) -> None:
    with assert_refused(1003, f"build {build['nvr']} not in tag {listed.dest_tag_name}"):
        packager.untagBuild(listed.dest_tag_name, build["nvr"])
    assert packager.untagBuild(listed.dest_tag_name, build["nvr"], strict=False) is None


def test_untagging_from_a_locked_tag(
    tagging: int, listed: Target, build: dict[str, Any], admin: Any, packager: Any
) -> None:
    admin.editTag2(listed.dest_tag_name, locked=True)
    with assert_refused(1004, "tag is locked"):
        packager.untagBuild(listed.dest_tag_name, build["nvr"])
    assert admin.untagBuild(listed.dest_tag_name, build["nvr"], force=True) is None


def test_moving(bench: TaskBench, tagging: int, listed: Target, build: dict[str, Any], host: Any) -> None:
    bench.admin.packageListAdd(listed.build_tag_name, build["name"], build["owner_name"])
    task_id = bench.remember(bench.packager.tagBuild(listed.build_tag_name, build["nvr"], False, listed.dest_tag_name))
    request = bench.packager.getTaskRequest(task_id)
    assert request == [listed.build_tag, build["id"], False, listed.dest_tag]
    host.host.openTask(task_id)
    host.host.tagBuild(task_id, *request)
    assert [tag["name"] for tag in host.listTags(build["nvr"])] == [listed.build_tag_name]


def test_tagging_without_a_task(target: Target, admin: Any, build: dict[str, Any]) -> None:
    assert admin.tagBuildBypass(target.build_tag_name, build["nvr"]) is None
    with assert_refused(1003, f"build {build['nvr']} already tagged ({target.build_tag_name})"):
        admin.tagBuildBypass(target.build_tag_name, build["nvr"])
    assert admin.tagBuildBypass(target.build_tag_name, build["nvr"], force=True) is None


def test_tagging_without_a_task_by_a_packager(
    target: Target, packager: Any, packager_name: str, build: dict[str, Any]
) -> None:
    with assert_refused(1004, f"tag permission required (logged in as {packager_name})"):
        packager.tagBuildBypass(target.build_tag_name, build["nvr"])


def test_history_of_what_is_tagged(tagging: int, listed: Target, build: dict[str, Any], anonymous: Any) -> None:
    (entry,) = anonymous.queryHistory(tag=listed.dest_tag_name, pkg=build["name"], active=True)["tag_listing"]
    assert set(entry) == shapes.TAG_HISTORY
    assert (entry["build_id"], entry["tag.name"]) == (build["id"], listed.dest_tag_name)
    assert (entry["active"], entry["revoke_event"]) == (True, None)
    assert anonymous.queryHistory(tag=listed.build_tag_name, active=True)["tag_listing"] == []


def test_history_of_a_missing_tag(anonymous: Any) -> None:
    with assert_refused(1000, "No such entry in table tag: contract-no-tag"):
        anonymous.queryHistory(tag="contract-no-tag", active=True)
