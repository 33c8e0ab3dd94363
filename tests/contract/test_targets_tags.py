# SPDX-License-Identifier: GPL-2.0-or-later
"""Build targets and tags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import shapes
from tests.contract.support import assert_refused, new_name
from tests.contract.tasks import Target


def test_target(target: Target, anonymous: Any) -> None:
    info = anonymous.getBuildTarget(target.name)
    assert set(info) == shapes.TARGET
    assert info["name"] == target.name
    assert (info["build_tag"], info["build_tag_name"]) == (target.build_tag, target.build_tag_name)
    assert (info["dest_tag"], info["dest_tag_name"]) == (target.dest_tag, target.dest_tag_name)


def test_target_by_id(target: Target, anonymous: Any) -> None:
    info = anonymous.getBuildTarget(target.name)
    assert anonymous.getBuildTarget(info["id"]) == info


def test_missing_target(anonymous: Any) -> None:
    assert anonymous.getBuildTarget("contract-no-target") is None
    with assert_refused(1000, "No such build target: contract-no-target"):
        anonymous.getBuildTarget("contract-no-target", strict=True)


def test_targets_of_a_tag(target: Target, anonymous: Any) -> None:
    info = anonymous.getBuildTarget(target.name)
    assert anonymous.getBuildTargets(buildTagID=target.build_tag) == [info]
    assert anonymous.getBuildTargets(destTagID=target.dest_tag_name) == [info]
    assert anonymous.getBuildTargets(target.name) == [info]
    assert anonymous.getBuildTargets(buildTagID=target.dest_tag) == []


def test_all_targets(target: Target, anonymous: Any) -> None:
    targets = anonymous.getBuildTargets()
    assert target.name in [info["name"] for info in targets]
    assert all(set(info) == shapes.TARGET for info in targets)


def test_creating_a_target_returns_nothing(target: Target, admin: Any) -> None:
    name = new_name("target")
    assert admin.createBuildTarget(name, target.build_tag_name, target.dest_tag_name) is None
    assert admin.getBuildTarget(name)["dest_tag"] == target.dest_tag


def test_creating_a_target_twice(target: Target, admin: Any) -> None:
    with assert_refused(1000, f"A build target with the name '{target.name}' already exists"):
        admin.createBuildTarget(target.name, target.build_tag_name, target.dest_tag_name)


@pytest.mark.parametrize("which, message", [(0, "build tag"), (1, "destination tag")])
def test_creating_a_target_without_a_tag(target: Target, admin: Any, which: int, message: str) -> None:
    tags = [target.build_tag_name, target.dest_tag_name]
    tags[which] = "contract-no-tag"
    with assert_refused(1000, f"{message} 'contract-no-tag' does not exist"):
        admin.createBuildTarget(new_name("target"), *tags)


def test_creating_a_target_by_a_packager(target: Target, packager: Any, packager_name: str) -> None:
    with assert_refused(1004, f"target permission required (logged in as {packager_name})"):
        packager.createBuildTarget(new_name("target"), target.build_tag_name, target.dest_tag_name)


def test_tag(target: Target, anonymous: Any) -> None:
    assert anonymous.getTag(target.build_tag_name) == {
        "arches": "x86_64 aarch64",
        "extra": {},
        "id": target.build_tag,
        "locked": False,
        "maven_include_all": False,
        "maven_support": False,
        "name": target.build_tag_name,
        "perm": None,
        "perm_id": None,
    }


def test_tag_by_id(target: Target, anonymous: Any) -> None:
    assert anonymous.getTag(target.build_tag)["name"] == target.build_tag_name


def test_tag_without_arches(target: Target, anonymous: Any) -> None:
    assert anonymous.getTag(target.dest_tag)["arches"] == ""


def test_tag_with_extra(admin: Any) -> None:
    extra = {"container": {"registries": ["r"]}, "n": 1}
    assert admin.getTag(admin.createTag(new_name("tag"), extra=extra))["extra"] == extra


def test_missing_tag(anonymous: Any) -> None:
    assert anonymous.getTag("contract-no-tag") is None
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        anonymous.getTag("contract-no-tag", strict=True)


def test_missing_tag_by_id(anonymous: Any) -> None:
    with assert_refused(1000, f"No such tagInfo: {2**31 - 2}"):
        anonymous.getTag(2**31 - 2, strict=True)


def test_creating_a_tag_returns_its_id(admin: Any) -> None:
    name = new_name("tag")
    tag_id = admin.createTag(name, arches="x86_64", locked=True)
    tag = admin.getTag(name)
    assert (tag["id"], tag["arches"], tag["locked"]) == (tag_id, "x86_64", True)


def test_creating_a_tag_twice(target: Target, admin: Any) -> None:
    with assert_refused(1000, f"A tag with the name '{target.dest_tag_name}' already exists"):
        admin.createTag(target.dest_tag_name)


def test_creating_a_tag_by_a_packager(packager: Any, packager_name: str) -> None:
    with assert_refused(1004, f"tag permission required (logged in as {packager_name})"):
        packager.createTag(new_name("tag"))


def test_creating_a_tag_by_nobody(anonymous: Any) -> None:
    with assert_refused(1004, "tag permission required (user not logged in)"):
        anonymous.createTag(new_name("tag"))


def test_locking(target: Target, admin: Any) -> None:
    assert admin.editTag2(target.dest_tag_name, locked=True) is None
    assert admin.getTag(target.dest_tag_name)["locked"] is True
    admin.editTag2(target.dest_tag_name, locked=False)
    assert admin.getTag(target.dest_tag_name)["locked"] is False


def test_build_config(target: Target, anonymous: Any) -> None:
    config = anonymous.getBuildConfig(target.build_tag_name)
    assert set(config) == shapes.BUILD_CONFIG
    assert (config["id"], config["arches"]) == (target.build_tag, "x86_64 aarch64")
    assert config["config_inheritance"] == {"extra": {}, "arches": None}


def test_build_config_of_a_missing_tag(anonymous: Any) -> None:
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        anonymous.getBuildConfig("contract-no-tag")


def test_no_inheritance(target: Target, anonymous: Any) -> None:
    assert anonymous.getFullInheritance(target.build_tag) == []


def test_tags_by_pattern(target: Target, anonymous: Any) -> None:
    tags = anonymous.listTags(pattern=f"{target.name}-*")
    assert {tag["name"] for tag in tags} == {target.build_tag_name, target.dest_tag_name}
    assert all(set(tag) == shapes.LISTED_TAG for tag in tags)


def test_events_grow(admin: Any) -> None:
    before = admin.getLastEvent()
    assert set(before) == {"id", "ts"}
    assert isinstance(before["ts"], float)
    admin.createTag(new_name("tag"))
    assert admin.getLastEvent()["id"] > before["id"]
