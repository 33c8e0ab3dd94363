# SPDX-License-Identifier: GPL-2.0-or-later
"""Package lists of tags."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract import shapes
from tests.contract.support import assert_refused, new_name
from tests.contract.tasks import Target

#: koji 1.34 starts its sentence with a small letter.
POLICY = re.compile(r"^policy violation \(package_list\): [Oo]nly admin/tag can do this via default policy$")


@pytest.fixture
def listed(target: Target, admin: Any, packager_name: str) -> str:
    """A package listed in the destination tag."""
    name = new_name("package")
    assert admin.packageListAdd(target.dest_tag_name, name, packager_name) is None
    return name


@pytest.fixture
def blocked(target: Target, admin: Any, listed: str) -> str:
    assert admin.packageListBlock(target.dest_tag_name, listed) is None
    return listed


def test_listed(target: Target, anonymous: Any, listed: str) -> None:
    assert anonymous.checkTagPackage(target.dest_tag_name, listed) is True
    assert anonymous.checkTagPackage(target.dest_tag, listed) is True


def test_not_listed(target: Target, anonymous: Any, listed: str) -> None:
    assert anonymous.checkTagPackage(target.build_tag_name, listed) is False
    assert anonymous.checkTagPackage(target.dest_tag_name, "contract-no-package") is False
    assert anonymous.checkTagPackage("contract-no-tag", listed) is False


def test_blocked(target: Target, anonymous: Any, blocked: str) -> None:
    assert anonymous.checkTagPackage(target.dest_tag_name, blocked) is False
    assert anonymous.getPackageConfig(target.dest_tag_name, blocked)["blocked"] is True


def test_config(target: Target, anonymous: Any, listed: str, packager_name: str) -> None:
    config = anonymous.getPackageConfig(target.dest_tag_name, listed)
    assert set(config) == shapes.PACKAGE
    assert (config["package_name"], config["owner_name"]) == (listed, packager_name)
    assert (config["tag_id"], config["tag_name"]) == (target.dest_tag, target.dest_tag_name)
    assert (config["blocked"], config["extra_arches"]) == (False, None)


def test_no_config(target: Target, anonymous: Any, listed: str) -> None:
    assert anonymous.getPackageConfig(target.build_tag_name, listed) is None
    assert anonymous.getPackageConfig("contract-no-tag", listed) is None
    assert anonymous.getPackageConfig(target.dest_tag_name, "contract-no-package") is None


def test_list_of_a_tag(target: Target, anonymous: Any, admin: Any, listed: str, packager_name: str) -> None:
    second = new_name("package")
    admin.packageListAdd(target.dest_tag_name, second, packager_name)
    admin.packageListBlock(target.dest_tag_name, second)
    packages = anonymous.listPackages(tagID=target.dest_tag_name)
    assert {info["package_name"]: info["blocked"] for info in packages} == {listed: False, second: True}
    assert all(set(info) == shapes.PACKAGE for info in packages)
    assert anonymous.listPackages(tagID=target.dest_tag, with_blocked=False)[0]["package_name"] == listed


def test_list_of_a_package(target: Target, anonymous: Any, listed: str) -> None:
    (info,) = anonymous.listPackages(tagID=target.dest_tag, pkgID=listed)
    assert info["package_id"] == anonymous.getPackageID(listed)


def test_list_of_an_empty_tag(target: Target, anonymous: Any) -> None:
    assert anonymous.listPackages(tagID=target.build_tag) == []


def test_list_of_a_missing_tag(anonymous: Any) -> None:
    with assert_refused(1000, "No such entry in table tag: contract-no-tag"):
        anonymous.listPackages(tagID="contract-no-tag")


def test_all_packages(anonymous: Any, listed: str) -> None:
    (info,) = anonymous.listPackages(prefix=listed)
    assert info == {"package_id": anonymous.getPackageID(listed), "package_name": listed}


def test_package_id(anonymous: Any, listed: str) -> None:
    assert isinstance(anonymous.getPackageID(listed), int)
    assert anonymous.getPackageID("contract-no-package") is None
    with assert_refused(1000, "No such package name: contract-no-package"):
        anonymous.getPackageID("contract-no-package", strict=True)


def test_adding_again_is_fine(target: Target, admin: Any, listed: str, packager_name: str) -> None:
    assert admin.packageListAdd(target.dest_tag_name, listed, packager_name) is None
    assert len(admin.listPackages(tagID=target.dest_tag)) == 1


def test_adding_without_an_owner(target: Target, admin: Any) -> None:
    with assert_refused(1000, "owner not specified"):
        admin.packageListAdd(target.dest_tag_name, new_name("package"))


def test_adding_a_blocked_package(target: Target, admin: Any, blocked: str, packager_name: str) -> None:
    with assert_refused(1000, f"package {blocked} is blocked in tag {target.dest_tag_name}"):
        admin.packageListAdd(target.dest_tag_name, blocked, packager_name, block=False)


def test_adding_to_a_missing_tag(admin: Any, packager_name: str) -> None:
    with assert_refused(1000, "No such tagInfo: 'contract-no-tag'"):
        admin.packageListAdd("contract-no-tag", new_name("package"), packager_name)


def test_adding_by_nobody(target: Target, anonymous: Any, packager_name: str) -> None:
    with assert_refused(1004, "you must be logged in for this operation"):
        anonymous.packageListAdd(target.dest_tag_name, new_name("package"), packager_name)


def test_adding_for_an_unknown_owner(target: Target, admin: Any) -> None:
    with assert_refused(1000, "No such user: 'contract-nobody'"):
        admin.packageListAdd(target.dest_tag_name, new_name("package"), "contract-nobody")


def test_blocking_an_unknown_package(target: Target, admin: Any) -> None:
    with assert_refused(1000, "No such entry in table package: contract-no-package"):
        admin.packageListBlock(target.dest_tag_name, "contract-no-package")


def test_blocking_a_package_of_another_tag(target: Target, admin: Any, listed: str) -> None:
    with assert_refused(1000, f"Package {listed} is not in tag listing for {target.build_tag_name}"):
        admin.packageListBlock(target.build_tag_name, listed)


def test_adding_by_a_packager(target: Target, packager: Any, packager_name: str) -> None:
    with assert_refused(1004, POLICY):
        packager.packageListAdd(target.dest_tag_name, new_name("package"), packager_name)
