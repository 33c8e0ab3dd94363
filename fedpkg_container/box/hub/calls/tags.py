# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about tags and build targets."""

from __future__ import annotations

import json
from typing import Any

import koji

from fedpkg_container.box.hub.database import Row, marks, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now, condition, entry, find, path_component, require_permission
from fedpkg_container.box.hub.parameters import Lookup, QueryOptions, verify_name

_TARGETS = (
    "SELECT targets.*, build.name AS build_tag_name, dest.name AS dest_tag_name FROM targets"
    " JOIN tags AS build ON build.id = build_tag JOIN tags AS dest ON dest.id = dest_tag"
)


@call("getBuildTarget", used_by="the client; the builder plugin; koji regen-repo --target")
def get_build_target(info: Lookup, event: int | None = None, strict: bool = False) -> Row | None:
    """A target by ID or name."""
    assert_now(event)
    column, value = condition(info)
    row = database().one(f"{_TARGETS} WHERE targets.{column} = ?", value)
    if row is None and strict:
        raise koji.GenericError(f"No such build target: {info}")
    return row


@call("getBuildTargets", used_by="the client (completion); koji list-targets, regen-repo --make-task")
def get_build_targets(
    info: Lookup | None = None,
    event: int | None = None,
    buildTagID: Lookup | None = None,
    destTagID: Lookup | None = None,
    queryOpts: QueryOptions | None = None,
) -> object:
    """All targets, or those of a tag."""
    assert_now(event)
    rows = database().all(f"{_TARGETS} ORDER BY targets.name")
    if info is not None:
        rows = [row for row in rows if info in (row["id"], row["name"])]
    for key, tag in (("build_tag", buildTagID), ("dest_tag", destTagID)):
        if tag is not None:
            known = get_tag(tag)
            rows = [row for row in rows if known and row[key] == known["id"]]
    return query_options(rows, queryOpts)


@call("createBuildTarget", used_by="the box's demo; koji add-target")
def create_build_target(name: str, build_tag: Lookup, dest_tag: Lookup) -> None:
    """Add a target."""
    require_permission("target")
    verify_name(name)
    if get_build_target(name):
        raise koji.GenericError(f"A build target with the name '{name}' already exists")
    tags = {"build": get_tag(build_tag), "destination": get_tag(dest_tag)}
    for what, given in (("build", build_tag), ("destination", dest_tag)):
        if tags[what] is None:
            raise koji.GenericError(f"{what} tag '{given}' does not exist")
    ids = [tag["id"] for tag in tags.values() if tag]
    database().insert("targets", name=name, build_tag=ids[0], dest_tag=ids[1])
    database().event()


@call("getTag", used_by="the client; pyrpkg; koji list-tagged, list-pkgs, add-pkg, untag-build and others")
def get_tag(tagInfo: Lookup, strict: bool = False, event: int | None = None, blocked: bool = False) -> Row | None:
    """A tag by ID or name."""
    assert_now(event)
    row = find("tags", tagInfo)
    if row is None:
        if strict:
            raise koji.GenericError(f"No such tagInfo: {tagInfo!r}")
        return None
    return {**listed_tag(row), "extra": json.loads(row["extra"])}


def known_tag(tag: Any) -> Row:
    """A tag that must exist."""
    row = get_tag(tag, strict=True)
    assert row is not None
    return row


def listed_tag(row: Row) -> Row:
    """A stored tag as in lists."""
    return {
        **{key: row[key] for key in ("id", "name", "perm_id", "arches")},
        "perm": row["perm_id"] and entry("permissions", row["perm_id"])["name"],
        "locked": bool(row["locked"]),
        "maven_support": False,
        "maven_include_all": False,
    }


@call("createTag", used_by="the box's demo; koji add-tag")
def create_tag(
    name: str,
    parent: Lookup | None = None,
    arches: str | None = None,
    *,
    locked: bool = False,
    extra: Row | None = None,
) -> int:
    """Add a tag."""
    require_permission("tag")
    path_component(name, "tag name")
    _check_arches(arches)
    if get_tag(name):
        raise koji.GenericError(f"A tag with the name '{name}' already exists")
    values = {"arches": arches or "", "locked": int(locked), "extra": json.dumps(extra or {})}
    tag_id = database().insert("tags", name=name, **values)
    if parent is not None:
        database().execute("INSERT INTO inheritance VALUES (?, ?, 0)", tag_id, known_tag(parent)["id"])
    database().event(tag_id)
    return tag_id


def _check_arches(arches: str | None) -> None:
    """Refuse architectures that are invalid as directory names in repositories."""
    for arch in (arches or "").split():
        path_component(arch, "arch")


#: Value of a parameter that was not sent.
_UNCHANGED: Any = object()


@call("editTag2", used_by="koji edit-tag, lock-tag, unlock-tag")
def edit_tag(
    tagInfo: Lookup, *, name: str | None = None, arches: str | None = None, locked: bool | None = None,
    extra: Row | None = None, remove_extra: list[str] | None = None, block_extra: list[str] | None = None,
    perm_id: Lookup | None = _UNCHANGED, perm: Lookup | None = _UNCHANGED,
) -> None:  # fmt: skip
    """Edit tag name, architectures, lock, required permission (None for no permission) or extra."""
    require_permission("tag")
    tag = known_tag(tagInfo)
    _check_arches(arches)
    if name is not None and name != tag["name"] and get_tag(path_component(name, "tag name")):
        raise koji.GenericError(f"A tag with the name '{name}' already exists")
    if block_extra:
        raise koji.GenericError("This hub does not block the extra of tags")
    changed = {**tag["extra"], **(extra or {})}
    for key in remove_extra or []:
        if changed.pop(key, None) is None:
            raise koji.GenericError(f"Tag: {tag['name']} doesn't have extra: {key}")
    wanted = {"name": name, "arches": arches, "locked": None if locked is None else int(locked)}
    wanted["extra"] = json.dumps(changed)
    database().update("tags", tag["id"], **{key: value for key, value in wanted.items() if value is not None})
    required = perm if perm_id is _UNCHANGED else perm_id
    if required is not _UNCHANGED:
        database().update("tags", tag["id"], perm_id=None if required is None else entry("permissions", required)["id"])
    database().event(tag["id"])


def inheritance_order(tag_id: int) -> list[int]:
    """A tag and its ancestors, nearest first."""
    order, waiting = [], [tag_id]
    while waiting:
        current = waiting.pop(0)
        if current in order:
            continue
        order.append(current)
        parents = database().all("SELECT parent_id FROM inheritance WHERE tag_id = ? ORDER BY priority", current)
        waiting[:0] = [row["parent_id"] for row in parents]
    return order


@call("getFullInheritance", used_by="pyrpkg (check_inheritance)")
def get_full_inheritance(tag: Lookup, event: int | None = None, reverse: bool = False) -> list[Row]:
    """Ancestors of a tag, nearest first."""
    assert_now(event)
    order = inheritance_order(known_tag(tag)["id"])
    return [
        {"parent_id": parent, "child_id": child, "name": known_tag(parent)["name"], "priority": 0, "currdepth": depth,
         "intransitive": False, "maxdepth": None, "noconfig": False, "pkg_filter": "", "nextdepth": None, "filter": []}
        for depth, (child, parent) in enumerate(zip(order, order[1:]), 1)
    ]  # fmt: skip


@call("getBuildConfig", used_by="the client; pyrpkg; the builder plugin")
def get_build_config(tag: Lookup, event: int | None = None) -> Row:
    """A tag, with inherited architectures and extra."""
    assert_now(event)
    config = known_tag(tag)
    inherited: Row = {"extra": {}, "arches": None}
    for ancestor in [known_tag(each) for each in inheritance_order(config["id"])[1:]]:
        link = {"id": ancestor["id"], "name": ancestor["name"]}
        if not config["arches"] and ancestor["arches"]:
            config["arches"] = ancestor["arches"]
            inherited["arches"] = link
        for key, value in ancestor["extra"].items():
            if key not in config["extra"]:
                config["extra"][key] = value
                inherited["extra"][key] = link
    return {**config, "config_inheritance": inherited}


@call("tagLastChangeEvent", used_by="koji.util.RepoWatcher (koji regen-repo)")
def tag_last_change_event(tag: Lookup) -> int:
    """Newest event that changed a tag or one of its ancestors."""
    order = inheritance_order(known_tag(tag)["id"])
    newest = database().value(f"SELECT max(id) FROM events WHERE tag_id IN ({marks(order)})", *order)
    return int(newest or 0)
