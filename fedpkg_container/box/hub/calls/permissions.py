# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of administrators about users, and their permissions."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls.users import get_user, known_user, permissions_of
from fedpkg_container.box.hub.database import Row, marks, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import entry, find, require_permission
from fedpkg_container.box.hub.parameters import Lookup, QueryOptions, UserLookup, UserTypes, verify_name

NORMAL, BLOCKED = koji.USER_STATUS["NORMAL"], koji.USER_STATUS["BLOCKED"]


@call("getAllPerms", used_by="koji taginfo, lock-tag, list-permissions, list-users")
def get_all_permissions() -> list[Row]:
    """All permissions."""
    return database().all("SELECT id, name, description FROM permission_names ORDER BY id")


@call("editPermission", used_by="koji edit-permission")
def edit_permission(permission: Lookup, description: str) -> None:
    """Change the description of a permission."""
    require_permission("admin")
    database().update("permission_names", entry("permissions", permission)["id"], description=description)


@call("getUserPerms", used_by="koji userinfo")
def get_user_permissions(userID: UserLookup | None = None, with_groups: bool = True) -> list[str]:
    """Permissions of a user, by default of the caller; groups have none on this hub."""
    return permissions_of(known_user(userID)["id"])


@call("getUserPermsInheritance", used_by="koji list-permissions --user, --mine")
def get_user_permissions_inheritance(userID: UserLookup) -> dict[str, list[str | None]]:
    """Permissions of a user → groups that grant them; always None, because groups have no permissions on this hub."""
    return {name: [None] for name in permissions_of(known_user(userID)["id"])}


@call("grantPermission", used_by="koji grant-permission")
def grant_permission(
    userinfo: UserLookup, permission: Lookup, create: bool = False, description: str | None = None
) -> None:
    """Grant a permission to a user; with ``create``, add the permission if it does not exist."""
    require_permission("admin")
    if description is not None and not create:
        raise koji.GenericError("Description should be specified only with create.")
    user = known_user(userinfo)
    if user["usertype"] == koji.USERTYPES["GROUP"]:
        raise koji.GenericError("Groups have no permissions on this hub")
    if create and find("permission_names", permission) is None:
        name = verify_name(permission) if isinstance(permission, str) else ""
        database().insert("permission_names", name=name, description=description)
    name = entry("permissions", permission)["name"]
    if name in permissions_of(user["id"]):
        raise koji.GenericError(f"user {userinfo} already has permission: {name}")
    database().execute("INSERT INTO permissions VALUES (?, ?)", user["id"], name)


@call("revokePermission", used_by="koji revoke-permission")
def revoke_permission(userinfo: UserLookup, permission: Lookup) -> None:
    """Revoke a permission of a user."""
    require_permission("admin")
    user, name = known_user(userinfo), entry("permissions", permission)["name"]
    if not database().execute("DELETE FROM permissions WHERE user_id = ? AND permission = ?", user["id"], name):
        raise koji.GenericError(f"user {userinfo} does not have permission: {name}")


@call("getBuildNotifications", used_by="koji list-notifications")
def get_build_notifications(userID: UserLookup | None = None) -> list[Row]:
    """Empty: this hub sends no notifications."""
    return []


@call("getBuildNotificationBlocks", used_by="koji list-notifications")
def get_build_notification_blocks(userID: UserLookup | None = None) -> list[Row]:
    """Empty: this hub sends no notifications."""
    return []


@call("listUsers", used_by="koji list-users")
def list_users(
    userType: UserTypes | None = koji.USERTYPES["NORMAL"],
    prefix: str | None = None,
    queryOpts: QueryOptions | None = None,
    perm: Lookup | None = None,
    inherited_perm: bool = False,
) -> object:
    """Users, selected by type (None for all types), prefix of the name, and permission."""
    if inherited_perm and perm is None:
        raise koji.GenericError("inherited_perm option must be used with perm option")
    types = koji.USERTYPES.values() if userType is None else userType if isinstance(userType, list) else [userType]
    chosen = [value for value in types if isinstance(value, int)]
    rows = database().all(
        f"SELECT id, name, status, usertype FROM users WHERE usertype IN ({marks(chosen)}) ORDER BY id", *chosen
    )
    if prefix:
        rows = [row for row in rows if row["name"].lower().startswith(prefix.lower())]
    if perm is not None:
        name = entry("permissions", perm)["name"]
        rows = [row for row in rows if name in permissions_of(row["id"])]
    return query_options([{**row, "krb_principals": []} for row in rows], queryOpts)


def _set_status(username: Any, status: int) -> None:
    user = get_user(username)
    if user is None:
        raise koji.GenericError(f"No such user: {username}")
    require_permission("admin")
    database().update("users", user["id"], status=status)


@call("enableUser", used_by="koji enable-user")
def enable_user(username: UserLookup) -> None:
    """Enable a user, so that logins are accepted again."""
    _set_status(username, NORMAL)


@call("disableUser", used_by="koji disable-user")
def disable_user(username: UserLookup) -> None:
    """Disable a user: refuse logins, and calls in open sessions."""
    _set_status(username, BLOCKED)


@call("editUser", used_by="koji edit-user --rename")
def edit_user(userInfo: UserLookup, name: str | None = None, krb_principal_mappings: list[Row] | None = None) -> None:
    """Rename a user."""
    require_permission("admin")
    user = known_user(userInfo)
    if krb_principal_mappings:
        raise koji.GenericError("This hub has no Kerberos principals")
    if name and name != user["name"]:
        verify_name(name)
        if other := get_user(name):
            raise koji.GenericError(f"Name {name} already taken by user {other['id']}")
        database().update("users", user["id"], name=name)
