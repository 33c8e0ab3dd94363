"""Build targets: where packages for a build come from, and where the build goes."""

from __future__ import annotations

from typing import Any

import koji

from fedpkg_container.box.hub.calls.tags import get_tag
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now, condition, require_permission
from fedpkg_container.box.hub.parameters import Lookup, QueryOptions, verify_name

_TARGETS = (
    "SELECT targets.*, build.name AS build_tag_name, dest.name AS dest_tag_name FROM targets"
    " JOIN tags AS build ON build.id = build_tag JOIN tags AS dest ON dest.id = dest_tag"
)


@call("getBuildTarget", used_by="the client; the builder plugin; koji regen-repo --target")
def get_build_target(info: Lookup, event: int | None = None, strict: bool = False) -> Row | None:
    """A target by id or name."""
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
) -> Any:
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
    """A new target."""
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
