"""Users and permissions."""

from __future__ import annotations

from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import condition, require_permission
from fedpkg_container.box.hub.parameters import UserLookup, verify_name


def known_user(user: Any) -> Row:
    """A user who must exist."""
    row = get_user(user, strict=True)
    assert row is not None
    return row


@call(
    "getUser",
    used_by="the client; the box's set-up; the builder plugin; koji taskinfo, list-pkgs and others",
)
def get_user(
    userInfo: UserLookup | None = None, strict: bool = False, krb_princs: bool = True, groups: bool = False
) -> Row | None:
    """A user by id, name, or a dictionary with either; without an argument the one who is calling."""
    key = context.session.user_id if userInfo is None else userInfo
    if key is None:
        raise koji.GenericError("No user provided")
    column, value = condition(key)
    row = database().one(f"SELECT id, name, status, usertype FROM users WHERE {column} = ?", value)
    if row is None:
        if strict:
            raise koji.GenericError(f"No such user: {userInfo!r}")
        return None
    if krb_princs:
        row["krb_principals"] = []
    if groups:
        row["groups"] = groups_of(row["id"])
    return row


@call("getLoggedInUser", used_by="the client; koji moshimoshi, list-tasks --mine")
def get_logged_in_user() -> Row | None:
    """The user who is calling, or None."""
    session = context.session
    if not session.logged_in:
        return None
    return {**known_user(session.user_id), "krb_principal": None, "authtype": session.authtype}


def groups_of(user_id: int) -> list[str]:
    """The names of the groups that a user is in."""
    rows = database().all(
        "SELECT name FROM users JOIN group_members ON users.id = group_id WHERE member_id = ? ORDER BY name", user_id
    )
    return [row["name"] for row in rows]


def permissions_of(user_id: int) -> list[str]:
    """What a user may do."""
    rows = database().all("SELECT permission FROM permissions WHERE user_id = ?", user_id)
    return [row["permission"] for row in rows]


@call("createUser", used_by="the box's set-up")
def create_user(username: str, status: int | None = None, krb_principal: str | None = None) -> int:
    """A new user; returns the id."""
    require_permission("admin")
    verify_name(username)
    if status not in (None, *koji.USER_STATUS.values()):
        raise koji.GenericError(f"Invalid status: {status}")
    if get_user(username):
        raise koji.GenericError(f"user already exists: {username}")
    return database().insert("users", name=username, status=status or koji.USER_STATUS["NORMAL"])


@call("hasPerm", used_by="koji add-tag, add-target, assign-task")
def has_permission(perm: str) -> bool:
    """Whether the user who is calling has a permission (``admin`` counts only as itself, as in Koji)."""
    return bool(context.session.hasPerm(perm))
