# SPDX-License-Identifier: GPL-2.0-or-later
"""Build permissions: buildContainer evaluates the hub's policies (here policy.conf) before a task is created."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.support import OPTIONS, SOURCE, assert_refused
from tests.contract.tasks import TaskBench
from tests.contract.test_build_container import no_new_task

SCRATCH = {**OPTIONS, "scratch": True}
ISOLATED = {**OPTIONS, "isolated": True, "release": "1.1"}
#: A rule within the rule that selects the targets of these tests.
WITHIN = "target contract-policy-* :: ... "
CLOSED = (
    "policy violation (build_container): Only contract-policy-builders build there"
    f" [rule: {WITHIN}target contract-policy-*-closed :: deny]"
)

MakeTarget = Callable[[str], str]


@pytest.fixture
def make_target(admin: Any) -> MakeTarget:
    """Return a function that creates a target matched by policy.conf by the end of its name."""

    def make(kind: str) -> str:
        name = f"contract-policy-{uuid.uuid4().hex[:12]}-{kind}"
        for tag in ("build", "dest"):
            admin.createTag(f"{name}-{tag}", arches="x86_64")
        admin.createBuildTarget(name, f"{name}-build", f"{name}-dest")
        return name

    return make


@pytest.fixture
def builders(admin: Any, packager_name: str) -> Iterator[str]:
    """A group that contains the packager."""
    name = f"contract-policy-{uuid.uuid4().hex[:12]}"
    admin.newGroup(name)
    admin.addGroupMember(name, packager_name)
    yield name
    if packager_name in [member["name"] for member in admin.getGroupMembers(name)]:
        admin.dropGroupMember(name, packager_name)


def test_a_rule_that_denies_is_named(make_target: MakeTarget, packager: Any) -> None:
    with no_new_task(packager), assert_refused(1004, CLOSED):
        packager.buildContainer(SOURCE, make_target("closed"), OPTIONS)


def test_a_rule_without_a_reason(make_target: MakeTarget, packager: Any) -> None:
    refusal = f"policy violation (build_container) [rule: {WITHIN}target contract-policy-*-silent :: deny]"
    with no_new_task(packager), assert_refused(1004, refusal):
        packager.buildContainer(SOURCE, make_target("silent"), OPTIONS)


def test_what_no_rule_covers(make_target: MakeTarget, packager: Any) -> None:
    refusal = "policy violation (build_container): not covered by policy [no rule matches]"
    with no_new_task(packager), assert_refused(1004, refusal):
        packager.buildContainer(SOURCE, make_target("other"), OPTIONS)


def test_scratch_builds_from_a_namespace(make_target: MakeTarget, bench: TaskBench, packager: Any) -> None:
    target = make_target("closed")
    bench.remember(packager.buildContainer(SOURCE, target, SCRATCH))
    with no_new_task(packager), assert_refused(1004, CLOSED):
        packager.buildContainer(SOURCE.replace("/container/", "/rpms/"), target, SCRATCH)


@pytest.mark.parametrize("path", ["container/../rpms/x", "container//../rpms/x", "./rpms/x"])
def test_a_source_is_what_builders_read(make_target: MakeTarget, packager: Any, path: str) -> None:
    with no_new_task(packager), assert_refused(1004, CLOSED):
        packager.buildContainer(f"git+https://example.com/{path}#1", make_target("closed"), SCRATCH)


def test_a_destination_tag(make_target: MakeTarget, bench: TaskBench, packager: Any) -> None:
    target = make_target("open")
    task = bench.remember(packager.buildContainer(SOURCE, target, OPTIONS))
    assert packager.getTaskInfo(task, request=True)["request"][:2] == [SOURCE, target]


def test_a_build_tag(make_target: MakeTarget, builders: str, packager: Any) -> None:
    refusal = (
        "policy violation (build_container): Nobody builds there"
        f" [rule: {WITHIN}buildtag contract-policy-*-never-build && user * :: deny]"
    )
    with no_new_task(packager), assert_refused(1004, refusal):
        packager.buildContainer(SOURCE, make_target("never"), OPTIONS)


def test_members_of_a_group(
    make_target: MakeTarget, builders: str, bench: TaskBench, admin: Any, packager: Any, packager_name: str
) -> None:
    target = make_target("closed")
    bench.remember(packager.buildContainer(SOURCE, target, OPTIONS))
    with assert_refused(1004, CLOSED):
        packager.buildContainer(SOURCE.replace("example.com", "example.org"), target, OPTIONS)
    admin.dropGroupMember(builders, packager_name)
    with assert_refused(1004, CLOSED):
        packager.buildContainer(SOURCE, target, OPTIONS)


def test_a_permission_and_an_isolated_build(make_target: MakeTarget, bench: TaskBench, admin: Any) -> None:
    target = make_target("closed")
    bench.remember(admin.buildContainer(SOURCE, target, ISOLATED))
    with assert_refused(1004, CLOSED):
        admin.buildContainer(SOURCE, target, OPTIONS)


def test_isolated_builds_of_others(make_target: MakeTarget, packager: Any) -> None:
    with assert_refused(1004, CLOSED):
        packager.buildContainer(SOURCE, make_target("closed"), ISOLATED)


def test_the_channel_that_is_asked_for(make_target: MakeTarget, packager: Any) -> None:
    refusal = (
        "policy violation (build_container): No container is built in the channel default"
        f" [rule: {WITHIN}match req_channel default :: deny]"
    )
    with no_new_task(packager), assert_refused(1004, refusal):
        packager.buildContainer(SOURCE, make_target("open"), OPTIONS, channel="default")


def test_a_target_that_does_not_exist_is_known_by_its_name(packager: Any) -> None:
    with no_new_task(packager), assert_refused(1004, CLOSED):
        packager.buildContainer(SOURCE, "contract-policy-none-closed", OPTIONS)


def test_the_channel_policy_decides(make_target: MakeTarget, bench: TaskBench, packager: Any) -> None:
    task_id = bench.remember(packager.buildContainer(SOURCE, make_target("elsewhere"), SCRATCH))
    assert packager.getTaskInfo(task_id)["channel_id"] == packager.getChannel("createrepo")["id"]


def test_wrong_members(admin: Any, builders: str, packager_name: str) -> None:
    with assert_refused(1000, f"user/group already exists: {builders}"):
        admin.newGroup(builders)
    with assert_refused(1000, "Not a user: contract-nobody"):
        admin.addGroupMember(builders, "contract-nobody")
    with assert_refused(1000, f"Not a group: {packager_name}"):
        admin.addGroupMember(packager_name, packager_name)
    with assert_refused(1000, "Groups cannot be members of other groups"):
        admin.addGroupMember(builders, builders)
    with assert_refused(1000, f"No such user in group: {builders}"):
        admin.dropGroupMember(builders, admin.getLoggedInUser()["name"])
    with assert_refused(1000, "No such group: contract-no-group"):
        admin.getGroupMembers("contract-no-group")


def test_a_member_twice(admin: Any, builders: str, packager_name: str) -> None:
    with assert_refused(1000, "User already in group"):
        admin.addGroupMember(builders, packager_name)
    admin.addGroupMember(builders, packager_name, strict=False)
    assert builders in admin.getUser(packager_name, groups=True)["groups"]


def test_groups_are_made_by_admins(packager: Any, packager_name: str) -> None:
    with assert_refused(1004, f"admin permission required (logged in as {packager_name})"):
        packager.newGroup("contract-policy-mine")
