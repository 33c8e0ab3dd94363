# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the koji program about users, permissions and channels."""

from __future__ import annotations

import re
from typing import Any

import koji
import pytest

from tests.contract.koji_program import Program
from tests.contract.support import Connect, HubAccess, assert_refused, new_name


@pytest.fixture
def user(admin: Any) -> str:
    """A new user."""
    name = new_name("user")
    admin.createUser(name)
    return name


def test_users_are_disabled(koji_program: Program, user: str, admin: Any) -> None:
    koji_program("disable-user", user)
    assert koji.USER_STATUS[admin.getUser(user)["status"]] == "BLOCKED"
    assert "Status: BLOCKED\n" in koji_program("userinfo", user)
    koji_program("enable-user", user)
    assert "Status: NORMAL\n" in koji_program("userinfo", user)
    with assert_refused(1000, "No such user: no-such-user"):
        koji_program("disable-user", "no-such-user")
    with assert_refused(1004, re.compile("admin permission required")):
        koji_program("disable-user", user, user="packager")


def test_a_disabled_user_cannot_log_in(
    koji_program: Program, access: HubAccess, packager_name: str, connect: Connect
) -> None:
    koji_program("disable-user", packager_name)
    try:
        with assert_refused(1002, re.compile(f"logins by {packager_name} are not allowed")):
            connect(access.packager)
    finally:
        koji_program("enable-user", packager_name)
    assert connect(access.packager).getLoggedInUser()["name"] == packager_name


def test_permissions(koji_program: Program, user: str, admin: Any) -> None:
    koji_program("grant-permission", "tag", user)
    assert admin.getUserPerms(user) == ["tag"]
    assert "Permissions:\n  tag\n" in koji_program("userinfo", user)
    assert re.search(r"^tag +", koji_program("list-permissions", "--user", user), re.MULTILINE)
    assert re.search(r"^admin +", koji_program("list-permissions"), re.MULTILINE)
    assert user in koji_program("list-users", "--perm", "tag").split()
    assert user in koji_program("list-users", "--prefix", user[:-2]).split()
    with assert_refused(1000, f"user {user} already has permission: tag"):
        koji_program("grant-permission", "tag", user)
    koji_program("revoke-permission", "tag", user)
    assert admin.getUserPerms(user) == []
    with assert_refused(1000, f"user {user} does not have permission: tag"):
        koji_program("revoke-permission", "tag", user)
    own = new_name("permission")
    with assert_refused(1000, f"No such entry in table permissions: {own}"):
        koji_program("grant-permission", own, user)
    koji_program("grant-permission", "--new", "--description", "of a test", own, user)
    koji_program("edit-permission", own, "of this test")
    assert admin.getUserPerms(user) == [own]
    assert "of this test" in [row["description"] for row in admin.getAllPerms()]


def test_a_user_is_renamed(koji_program: Program, user: str, admin: Any, packager_name: str) -> None:
    with assert_refused(1000, re.compile(f"Name {packager_name} already taken by user")):
        koji_program("edit-user", "--rename", packager_name, user)
    other = new_name("user")
    koji_program("edit-user", "--rename", other, user)
    assert admin.getUser(user) is None
    assert admin.getUser(other)["name"] == other


def test_channels(koji_program: Program, host_name: str, admin: Any) -> None:
    name = new_name("channel")
    koji_program("add-channel", "--description", "of a test", name)
    with assert_refused(1000, re.compile(f"channel {name} already exists")):
        admin.addChannel(name)
    koji_program("edit-channel", "--comment", "spare", name)
    koji_program("add-host-to-channel", host_name, name)
    assert host_name in koji_program("list-hosts", "--channel", name)
    koji_program("disable-channel", name)
    assert admin.getChannel(name)["enabled"] is False
    koji_program("enable-channel", name)
    assert (admin.getChannel(name)["enabled"], admin.getChannel(name)["comment"]) == (True, "spare")
    koji_program("remove-host-from-channel", host_name, name)
    assert name not in [channel["name"] for channel in admin.listChannels(host_name)]
    with assert_refused(1000, f"host {host_name} is not subscribed to the {name} channel"):
        admin.removeHostFromChannel(host_name, name)


def test_access_as_a_content_generator_is_revoked(koji_program: Program, user: str, generator: str, admin: Any) -> None:
    koji_program("grant-cg-access", user, generator)
    with assert_refused(1000, f"User already has access to content generator {generator}"):
        admin.grantCGAccess(user, generator)
    koji_program("revoke-cg-access", user, generator)
    assert admin.grantCGAccess(user, generator) is None
