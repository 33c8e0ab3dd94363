"""Groups of users: for policies. In Koji a group is a user of another type."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls.users import get_user, groups_of, known_user
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import require_permission
from fedpkg_container.box.hub.parameters import UserLookup, verify_name

GROUP = koji.USERTYPES["GROUP"]


@call("newGroup", used_by="koji call newGroup (docs/policy.md)")
def new_group(name: str) -> int:
    """A new group; returns the id."""
    require_permission("admin")
    verify_name(name)
    if get_user(name):
        raise koji.GenericError(f"user/group already exists: {name}")
    return database().insert("users", name=name, status=koji.USER_STATUS["NORMAL"], usertype=GROUP)


@call("addGroupMember", used_by="koji call addGroupMember (docs/policy.md)")
def add_group_member(group: UserLookup, user: UserLookup, strict: bool = True) -> None:
    """Put a user into a group."""
    require_permission("admin")
    found = _group(group)
    member = get_user(user)
    if member is None:
        raise koji.GenericError(f"Not a user: {user}")
    if member["usertype"] == GROUP:
        raise koji.GenericError("Groups cannot be members of other groups")
    if found["name"] in groups_of(member["id"]):
        if strict:
            raise koji.GenericError("User already in group")
        return
    database().execute("INSERT INTO group_members VALUES (?, ?)", found["id"], member["id"])


@call("getGroupMembers", used_by="koji call getGroupMembers (docs/policy.md)")
def get_group_members(group: UserLookup) -> list[Row]:
    """Who is in a group."""
    found = get_user(group)
    if found is None or found["usertype"] != GROUP:
        raise koji.GenericError(f"No such group: {group}")
    rows = database().all(
        "SELECT id, name, usertype FROM users JOIN group_members ON users.id = member_id WHERE group_id = ?"
        " ORDER BY name",
        found["id"],
    )
    return [{**row, "krb_principals": []} for row in rows]


@call("dropGroupMember", used_by="koji call dropGroupMember (docs/policy.md)")
def drop_group_member(group: UserLookup, user: UserLookup) -> None:
    """Take a user out of a group."""
    require_permission("admin")
    member = known_user(user)
    found = _group(group)
    if found["name"] not in groups_of(member["id"]):
        raise koji.GenericError(f"No such user in group: {group}")
    database().execute("DELETE FROM group_members WHERE group_id = ? AND member_id = ?", found["id"], member["id"])


def _group(group: Any) -> Row:
    found = get_user(group)
    if found is None or found["usertype"] != GROUP:
        raise koji.GenericError(f"Not a group: {group}")
    return found
