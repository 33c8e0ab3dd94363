# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about inheritance between tags, and deletion of tags and targets."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls.tags import get_build_target, get_tag, known_tag
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now, require_permission
from fedpkg_container.box.hub.parameters import InheritanceChanges, Lookup, verify_name

#: Properties of a link that this hub does not evaluate, with the values that have no effect.
_PLAIN = {"maxdepth": None, "intransitive": False, "noconfig": False, "pkg_filter": ""}


@call("getInheritanceData", used_by="koji taginfo, add-tag-inheritance and others")
def get_inheritance_data(tag: Lookup, event: int | None = None) -> list[Row]:
    """Parents of a tag, in the order of their priorities."""
    assert_now(event)
    child = known_tag(tag)["id"]
    rows = database().all("SELECT parent_id, priority FROM inheritance WHERE tag_id = ? ORDER BY priority", child)
    return [{**_PLAIN, **row, "name": known_tag(row["parent_id"])["name"], "child_id": child} for row in rows]


@call("setInheritanceData", used_by="koji add-tag-inheritance, edit-tag-inheritance, remove-tag-inheritance")
def set_inheritance_data(tag: Lookup, data: InheritanceChanges, clear: bool = False) -> None:
    """Add, change and delete (``delete link``) parents of a tag; with ``clear``, delete all others."""
    child = known_tag(tag)["id"]
    require_permission("tag")
    changes = data if isinstance(data, list) else [data]
    links = {} if clear else {link["parent_id"]: link["priority"] for link in get_inheritance_data(child)}
    for link in changes:
        parent = known_tag(link["parent_id"])["id"]
        if link.get("delete link"):
            links.pop(parent, None)
            continue
        if missing := [key for key in ("priority", *_PLAIN) if key not in link]:
            raise koji.GenericError(f"No value for {missing[0]}")
        if other := [key for key, value in _PLAIN.items() if (link[key] or value) != value]:
            raise koji.GenericError(f"This hub does not support {other[0]} of inheritance")
        links[parent] = link["priority"]
    for priority in links.values():
        if len(parents := [parent for parent, other in links.items() if other == priority]) > 1:
            value = f"cannot have the same priority value ({priority})"
            raise koji.GenericError(f"Multiple parent tags ({parents!r}) {value} on child tag {child}")
    database().execute("DELETE FROM inheritance WHERE tag_id = ?", child)
    for parent, priority in links.items():
        database().execute("INSERT INTO inheritance VALUES (?, ?, ?)", child, parent, priority)
    database().event(child)


@call("deleteTag", used_by="koji remove-tag")
def delete_tag(tagInfo: Lookup) -> None:
    """Delete a tag with its targets, package list and tagged builds; builds remain."""
    require_permission("tag")
    tag = known_tag(tagInfo)
    for table, column in (
        ("inheritance", "tag_id"),
        ("inheritance", "parent_id"),
        ("targets", "build_tag"),
        ("targets", "dest_tag"),
        ("tag_builds", "tag_id"),
        ("tag_packages", "tag_id"),
        ("tag_external_repos", "tag_id"),
        ("repos", "tag_id"),
        ("tags", "id"),
    ):
        database().execute(f"DELETE FROM {table} WHERE {column} = ?", tag["id"])
    database().event()


@call("editBuildTarget", used_by="koji edit-target")
def edit_build_target(buildTargetInfo: Lookup, name: str, build_tag: Lookup, dest_tag: Lookup) -> None:
    """Rename a target, or change its tags."""
    require_permission("target")
    verify_name(name)
    target = _known_target(buildTargetInfo)
    build, destination = get_tag(build_tag), get_tag(dest_tag)
    if build is None:
        raise koji.GenericError(f"build tag '{build_tag}' does not exist")
    if destination is None:
        raise koji.GenericError(f"destination tag '{dest_tag}' does not exist")
    if name != target["name"] and (other := get_build_target(name)):
        raise koji.GenericError(f'name "{name}" is already taken by build target {other["id"]}')
    database().update("targets", target["id"], name=name, build_tag=build["id"], dest_tag=destination["id"])
    database().event()


@call("deleteBuildTarget", used_by="koji remove-target")
def delete_build_target(buildTargetInfo: Lookup) -> None:
    """Delete a target."""
    require_permission("target")
    database().execute("DELETE FROM targets WHERE id = ?", _known_target(buildTargetInfo)["id"])
    database().event()


def _known_target(info: Any) -> Row:
    target = get_build_target(info)
    if target is None:
        raise koji.GenericError(f"No such build target: {info}")
    return target


@call("getTagGroups", used_by="koji taginfo, list-groups, show-groups")
def get_tag_groups(
    tag: Lookup, event: int | None = None, inherit: bool = True, incl_pkgs: bool = True, incl_reqs: bool = True,
    incl_blocked: bool = False,
) -> list[Row]:  # fmt: skip
    """An empty list: this hub has no groups of packages."""
    assert_now(event)
    known_tag(tag)
    return []


@call("mavenEnabled", used_by="koji taginfo")
def maven_enabled() -> bool:
    """False: this hub does not support Maven builds."""
    return False
