"""Users and permissions."""

from __future__ import annotations

from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database, require_permission


def user_row(user: Any, *, strict: bool = False) -> Row | None:
    """A user by id, name, or a dictionary with either."""
    if isinstance(user, dict):
        user = user.get("id") or user.get("name")
    if not isinstance(user, (int, str)):
        raise koji.GenericError(f"Invalid type for userInfo: {type(user)}")
    column = "id" if isinstance(user, int) else "name"
    row = database().one(f"SELECT id, name, status, usertype FROM users WHERE {column} = ?", user)
    if row is None and strict:
        raise koji.GenericError(f"No such user: {user!r}")
    return row


def known_user(user: Any) -> Row:
    """A user who must exist."""
    row = user_row(user, strict=True)
    assert row is not None
    return row


@call("getUser", used_by="koji taskinfo, buildinfo; the builder plugin")
def get_user(userInfo: Any = None, strict: bool = False, krb_princs: bool = True, groups: bool = False) -> Row | None:
    """A user; without an argument the one who is calling."""
    if userInfo is None:
        userInfo = context.session.user_id
        if userInfo is None:
            return None
    row = user_row(userInfo, strict=strict)
    if row and krb_princs:
        row["krb_principals"] = []
    if row and groups:
        row["groups"] = []
    return row


@call("getLoggedInUser", used_by="koji moshimoshi; the client")
def get_logged_in_user() -> Row | None:
    """The user who is calling, or None."""
    session = context.session
    if not session.logged_in:
        return None
    user = get_user(session.user_id)
    return user and {**user, "authtype": session.authtype}


@call("createUser", used_by="the box's set-up; contract tests")
def create_user(username: str, status: int | None = None, krb_principal: str | None = None) -> int:
    """A new user; returns the id."""
    require_permission("admin")
    if user_row(username):
        raise koji.GenericError(f"user already exists: {username}")
    return database().insert("users", name=username, status=status or koji.USER_STATUS["NORMAL"])


@call("grantPermission", used_by="contract tests")
def grant_permission(userinfo: Any, permission: str, create: bool = False, description: str | None = None) -> None:
    """Give a permission to a user."""
    require_permission("admin")
    user = known_user(userinfo)
    if database().value("SELECT 1 FROM permissions WHERE user_id = ? AND permission = ?", user["id"], permission):
        raise koji.GenericError(f"user {user['name']} already has permission: {permission}")
    database().execute("INSERT INTO permissions VALUES (?, ?)", user["id"], permission)


@call("getUserPerms", used_by="koji list-permissions --mine")
def get_user_perms(userID: Any = None, with_groups: bool = True) -> list[str]:
    """The permissions of a user."""
    user = known_user(userID if userID is not None else context.session.user_id)
    return [
        row["permission"]
        for row in database().all("SELECT permission FROM permissions WHERE user_id = ?", user["id"])
    ]
