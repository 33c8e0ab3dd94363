# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about packages of tags, and their groups."""

from __future__ import annotations

from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import users
from fedpkg_container.box.hub.calls.tags import get_tag, inheritance_order, known_tag
from fedpkg_container.box.hub.calls.users import get_user, groups_of, known_user
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import (
    assert_now,
    entry,
    find,
    path_component,
    require_package_policy,
    require_permission,
)
from fedpkg_container.box.hub.parameters import Lookup, QueryOptions, UserLookup, verify_name

GROUP = koji.USERTYPES["GROUP"]


@call("newGroup", used_by="koji call newGroup (docs/howto/policy.md)")
def new_group(name: str) -> int:
    """Add a group; return its ID."""
    require_permission("admin")
    verify_name(name)
    if get_user(name):
        raise koji.GenericError(f"user/group already exists: {name}")
    return database().insert("users", name=name, status=koji.USER_STATUS["NORMAL"], usertype=GROUP)


@call("addGroupMember", used_by="koji call addGroupMember (docs/howto/policy.md)")
def add_group_member(group: UserLookup, user: UserLookup, strict: bool = True) -> None:
    """Add a user to a group."""
    require_permission("admin")
    group_row = _group(group)
    member = get_user(user)
    if member is None:
        raise koji.GenericError(f"Not a user: {user}")
    if member["usertype"] == GROUP:
        raise koji.GenericError("Groups cannot be members of other groups")
    if group_row["name"] in groups_of(member["id"]):
        if strict:
            raise koji.GenericError("User already in group")
        return
    database().execute("INSERT INTO group_members VALUES (?, ?)", group_row["id"], member["id"])


@call("getGroupMembers", used_by="koji call getGroupMembers (docs/howto/policy.md)")
def get_group_members(group: UserLookup) -> list[Row]:
    """Users in a group."""
    group_row = get_user(group)
    if group_row is None or group_row["usertype"] != GROUP:
        raise koji.GenericError(f"No such group: {group}")
    rows = database().all(
        "SELECT id, name, usertype FROM users JOIN group_members ON users.id = member_id WHERE group_id = ?"
        " ORDER BY name",
        group_row["id"],
    )
    return [{**row, "krb_principals": []} for row in rows]


@call("dropGroupMember", used_by="koji call dropGroupMember (docs/howto/policy.md)")
def drop_group_member(group: UserLookup, user: UserLookup) -> None:
    """Remove a user from a group."""
    require_permission("admin")
    member = known_user(user)
    group_row = _group(group)
    if group_row["name"] not in groups_of(member["id"]):
        raise koji.GenericError(f"No such user in group: {group}")
    database().execute("DELETE FROM group_members WHERE group_id = ? AND member_id = ?", group_row["id"], member["id"])


def _group(group: Any) -> Row:
    row = get_user(group)
    if row is None or row["usertype"] != GROUP:
        raise koji.GenericError(f"Not a group: {group}")
    return row


_LISTED = (
    "SELECT tag_packages.*, packages.name AS package_name, tags.name AS tag_name, users.name AS owner_name"
    " FROM tag_packages JOIN packages ON packages.id = package_id JOIN tags ON tags.id = tag_id"
    " JOIN users ON users.id = owner"
)


def package_id(name: str) -> int:
    """ID of a package, which is created if missing."""
    row_id = database().value("SELECT id FROM packages WHERE name = ?", name)
    return int(row_id) if row_id else database().insert("packages", name=path_component(name, "package name"))


def entries(tag_id: int, *, inherit: bool = True) -> list[Row]:
    """Entries in the package list of a tag, including blocked ones; those of nearer tags are first."""
    order = inheritance_order(tag_id) if inherit else [tag_id]
    query = f"{_LISTED} WHERE tag_id = ? ORDER BY package_name"
    return [_listed(row) for each in order for row in database().all(query, each)]


def package_list(tag_id: int, *, inherit: bool = True) -> dict[int, Row]:
    """Packages of a tag by ID, including blocked ones; the nearest tag in the inheritance applies."""
    entries_by_package: dict[int, Row] = {}
    for each in entries(tag_id, inherit=inherit):
        entries_by_package.setdefault(each["package_id"], each)
    return entries_by_package


def assert_listed(tag: Row, build: Row) -> None:
    """Refuse a build whose package a tag blocks or does not list."""
    entry = package_list(tag["id"]).get(build["package_id"])
    if entry is None:
        raise koji.TagError(f"Package {build['name']} not in list for {tag['name']}")
    if entry["blocked"]:
        raise koji.TagError(f"Package {build['name']} blocked in {tag['name']}")


def _listed(row: Row) -> Row:
    keys = ("package_id", "package_name", "tag_id", "tag_name", "owner_name", "extra_arches")
    return {**{key: row[key] for key in keys}, "owner_id": row["owner"], "blocked": bool(row["blocked"])}


@call("packageListAdd", used_by="the box's demo; koji add-pkg")
def package_list_add(
    taginfo: Lookup, pkginfo: str, owner: UserLookup | None = None, block: bool | None = None,
    extra_arches: str | None = None,
    force: bool = False,
) -> None:  # fmt: skip
    """Add a package to a tag's list, or change its entry."""
    tag = known_tag(taginfo)
    owner_id = None if owner is None else users.known_user(owner)["id"]
    require_package_policy()
    package = package_id(pkginfo)
    before = package_list(tag["id"]).get(package)
    values = {"owner": owner_id, "blocked": block, "extra_arches": extra_arches}
    if before is not None:
        known = {"owner": before["owner_id"], "blocked": before["blocked"], "extra_arches": before["extra_arches"]}
        values = {key: known[key] if value is None else value for key, value in values.items()}
        if values == known and not force:
            return
        if known["blocked"] and not values["blocked"] and not force:
            raise koji.GenericError(f"package {pkginfo} is blocked in tag {tag['name']}")
    if values["owner"] is None:
        if not force:
            raise koji.GenericError("owner not specified")
        values["owner"] = context.session.user_id
    database().execute(
        "INSERT OR REPLACE INTO tag_packages VALUES (?, ?, ?, ?, ?)",
        tag["id"], package, values["owner"], int(bool(values["blocked"])), values["extra_arches"],
    )  # fmt: skip
    database().event(tag["id"])


@call("packageListBlock", used_by="koji block-pkg")
def package_list_block(taginfo: Lookup, pkginfo: Lookup, force: bool = False) -> None:
    """Block a package listed in a tag."""
    tag, package = known_tag(taginfo), entry("package", pkginfo)
    if package["id"] not in package_list(tag["id"]):
        raise koji.GenericError(f"Package {package['name']} is not in tag listing for {tag['name']}")
    package_list_add(tag["id"], package["name"], block=True, force=force)


@call("packageListUnblock", used_by="koji unblock-pkg")
def package_list_unblock(taginfo: Lookup, pkginfo: Lookup, force: bool = False) -> None:
    """Unblock a package: remove the tag's entry that blocks it, or list it if an inherited entry blocks it."""
    tag, package = known_tag(taginfo), entry("package", pkginfo)
    require_package_policy()
    before = package_list(tag["id"]).get(package["id"])
    if before is None:
        name = f"package {package['name']} in tag {tag['name']}"
        raise koji.GenericError(f"no data (blocked or otherwise) for {name}")
    if not before["blocked"]:
        raise koji.GenericError(f"package {package['name']} NOT blocked in tag {tag['name']}")
    _remove(tag, package)
    after = package_list(tag["id"]).get(package["id"])
    if after is None or after["blocked"]:
        package_list_add(tag["id"], package["name"], before["owner_id"], False, before["extra_arches"], force=True)
    database().event(tag["id"])


def _remove(tag: Row, package: Row) -> None:
    database().execute("DELETE FROM tag_packages WHERE tag_id = ? AND package_id = ?", tag["id"], package["id"])


@call("packageListRemove", used_by="koji remove-pkg")
def package_list_remove(taginfo: Lookup, pkginfo: Lookup, force: bool = False) -> None:
    """Remove a package from a tag's list."""
    tag, package = known_tag(taginfo), entry("package", pkginfo)
    require_package_policy()
    _remove(tag, package)
    database().event(tag["id"])


@call("packageListSetOwner", used_by="koji set-pkg-owner, set-pkg-owner-global")
def package_list_set_owner(taginfo: Lookup, pkginfo: Lookup, owner: UserLookup, force: bool = False) -> None:
    """Set the owner of a package in a tag."""
    package_list_add(*_listed_in(taginfo, pkginfo, force=force), owner=owner, force=force)


@call("packageListSetArches", used_by="koji set-pkg-arches")
def package_list_set_arches(taginfo: Lookup, pkginfo: Lookup, arches: str | None, force: bool = False) -> None:
    """Set the additional architectures of a package in a tag."""
    package_list_add(*_listed_in(taginfo, pkginfo, force=force), extra_arches=arches, force=force)


def _listed_in(taginfo: object, pkginfo: object, *, force: bool) -> tuple[int, str]:
    """ID of a tag and name of a package that it lists."""
    tag, package = known_tag(taginfo), entry("package", pkginfo)
    if package["id"] not in package_list(tag["id"]) and not force:
        raise koji.GenericError(f"cannot update: tag {tag['name']} has no data for package {package['name']}")
    return int(tag["id"]), str(package["name"])


@call("getPackage", used_by="koji list-tags --package, move-build --all and others")
def get_package(info: Lookup, strict: bool = False, create: bool = False) -> Row | None:
    """A package by ID or name; with ``create``, added if it does not exist."""
    row = find("packages", info)
    if row is None and create:
        require_permission("admin")
        if not isinstance(info, str):
            raise koji.GenericError("Name must be a string")
        row = {"id": package_id(info), "name": info}
    return entry("package", info) if row is None and strict else row


@call("checkTagPackage", used_by="the builder plugin")
def check_tag_package(tag: Lookup, pkg: Lookup) -> bool:
    """Whether a package is listed in a tag and not blocked."""
    entry = get_package_config(tag, pkg)
    return entry is not None and not entry["blocked"]


@call("getPackageConfig", used_by="the client")
def get_package_config(tag: Lookup, pkg: Lookup, event: int | None = None) -> Row | None:
    """A tag's entry for a package; None if unlisted."""
    assert_now(event)
    row, package = get_tag(tag), find("packages", pkg)
    return package_list(row["id"]).get(package["id"]) if row and package else None


@call("getPackageID", used_by="koji list-builds")
def get_package_id(name: str, strict: bool = False) -> int | None:
    """ID of a package."""
    row_id: int | None = database().value("SELECT id FROM packages WHERE name = ?", name)
    if row_id is None and strict:
        raise koji.GenericError(f"No such package name: {name}")
    return row_id


@call("listPackages", used_by="koji list-pkgs, add-pkg, block-pkg")
def list_packages(
    tagID: Lookup | None = None, userID: UserLookup | None = None, pkgID: Lookup | None = None,
    prefix: str | None = None,
    inherited: bool = False,
    with_dups: bool = False, event: int | None = None, queryOpts: QueryOptions | None = None, with_owners: bool = True,
    with_blocked: bool = True,
) -> Any:  # fmt: skip
    """All packages, or tags' entries: of a tag, of a package, of an owner."""
    assert_now(event)
    if tagID is None and userID is None and pkgID is None:
        rows = database().all("SELECT id AS package_id, name AS package_name FROM packages ORDER BY name")
    else:
        rows = _listings(tagID, userID, pkgID, inherited=inherited, with_dups=with_dups)
    if prefix:
        rows = [row for row in rows if row["package_name"].lower().startswith(prefix.lower())]
    if not with_blocked:
        rows = [row for row in rows if not row.get("blocked")]
    if not with_owners:
        rows = [{key: value for key, value in row.items() if not key.startswith("owner_")} for row in rows]
    return query_options(rows, queryOpts)


def _listings(tag: object, user: object, package: object, *, inherited: bool, with_dups: bool) -> list[Row]:
    tag_id = None if tag is None else entry("tag", tag)["id"]
    wanted = {
        "owner_id": None if user is None else users.known_user(user)["id"],
        "package_id": None if package is None else entry("package", package)["id"],
    }
    if tag_id is None:
        rows = [_listed(row) for row in database().all(f"{_LISTED} ORDER BY package_name, tag_name")]
    elif with_dups:
        rows = entries(tag_id, inherit=inherited)
    else:
        rows = list(package_list(tag_id, inherit=inherited).values())
    return [row for row in rows if all(value is None or row[key] == value for key, value in wanted.items())]
