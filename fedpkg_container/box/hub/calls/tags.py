"""Tags, targets, inheritance, and the builds that tags hold."""

from __future__ import annotations

import json
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database, require_permission


def tag_row(tag: Any) -> Row | None:
    """A tag by id or name, as the hub shows it."""
    if isinstance(tag, dict):
        tag = tag.get("id") or tag.get("name")
    column = "id" if isinstance(tag, int) else "name"
    row = database().one(f"SELECT * FROM tags WHERE {column} = ?", tag)
    if row is None:
        return None
    return {
        "id": row["id"],
        "name": row["name"],
        "perm_id": row["perm_id"],
        "perm": None,
        "arches": row["arches"],
        "locked": bool(row["locked"]),
        "maven_support": False,
        "maven_include_all": False,
        "extra": json.loads(row["extra"]),
    }


def known_tag(tag: Any) -> Row:
    """A tag that must exist."""
    row = tag_row(tag)
    if row is None:
        raise koji.GenericError(f"No such tagInfo: {tag!r}")
    return row


@call("getTag", used_by="the client's preflight; koji list-tagged")
def get_tag(tagInfo: Any, strict: bool = False, event: Any = None, blocked: bool = False) -> Row | None:
    """A tag."""
    return known_tag(tagInfo) if strict else tag_row(tagInfo)


@call("createTag", used_by="the box's set-up; koji add-tag; contract tests")
def create_tag(
    name: str, parent: Any = None, arches: str | None = None, perm: Any = None, locked: bool = False,
    maven_support: bool = False, maven_include_all: bool = False, extra: Row | None = None,
) -> int:  # fmt: skip
    """A new tag."""
    require_permission("tag")
    if tag_row(name):
        raise koji.GenericError(f"Tag {name} already exists")
    tag_id = database().insert(
        "tags", name=name, arches=arches or "", locked=int(locked), extra=json.dumps(extra or {})
    )
    if parent is not None:
        database().execute("INSERT INTO inheritance VALUES (?, ?, 0)", tag_id, known_tag(parent)["id"])
    database().event()
    return tag_id


@call("editTag2", used_by="koji edit-tag, lock-tag; contract tests")
def edit_tag(tagInfo: Any, **kwargs: Any) -> None:
    """Change name, arches, lock or extra of a tag."""
    require_permission("tag")
    tag = known_tag(tagInfo)
    changes: Row = {key: kwargs[key] for key in ("name", "arches") if key in kwargs}
    if "locked" in kwargs:
        changes["locked"] = int(bool(kwargs["locked"]))
    if "extra" in kwargs:
        changes["extra"] = json.dumps({**tag["extra"], **kwargs["extra"]})
    if changes:
        database().update("tags", tag["id"], **changes)
        database().event()


def inheritance_order(tag_id: int) -> list[int]:
    """A tag and those it inherits from, nearest first."""
    order, waiting = [], [tag_id]
    while waiting:
        current = waiting.pop(0)
        if current in order:
            continue
        order.append(current)
        parents = database().all("SELECT parent_id FROM inheritance WHERE tag_id = ? ORDER BY priority", current)
        waiting[:0] = [row["parent_id"] for row in parents]
    return order


@call("getFullInheritance", used_by="rpkg build (check_inheritance); koji list-tag-inheritance")
def get_full_inheritance(tag: Any, event: Any = None, reverse: bool = False) -> list[Row]:
    """The tags that a tag inherits from, nearest first."""
    order = inheritance_order(known_tag(tag)["id"])
    return [
        {"parent_id": parent, "child_id": child, "name": known_tag(parent)["name"], "priority": 0, "currdepth": depth,
         "intransitive": False, "maxdepth": None, "noconfig": False, "pkg_filter": "", "nextdepth": None, "filter": []}
        for depth, (child, parent) in enumerate(zip(order, order[1:]), 1)
    ]  # fmt: skip


@call("getBuildConfig", used_by="the builder plugin; the client's preflight")
def get_build_config(tag: Any, event: Any = None) -> Row:
    """A tag with the arches and extra that it inherits."""
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


_TARGETS = (
    "SELECT targets.*, build.name AS build_tag_name, dest.name AS dest_tag_name FROM targets"
    " JOIN tags AS build ON build.id = build_tag JOIN tags AS dest ON dest.id = dest_tag"
)


@call("getBuildTarget", used_by="the client; the builder plugin")
def get_build_target(info: Any, event: Any = None, strict: bool = False) -> Row | None:
    """A target by id or name."""
    column = "id" if isinstance(info, int) else "name"
    row = database().one(f"{_TARGETS} WHERE targets.{column} = ?", info)
    if row is None and strict:
        raise koji.GenericError(f"No such build target: {info}")
    return row


@call("getBuildTargets", used_by="koji list-targets; completion")
def get_build_targets(
    info: Any = None, event: Any = None, buildTagID: Any = None, destTagID: Any = None, queryOpts: Row | None = None
) -> Any:
    """All targets, or those of a tag."""
    rows = database().all(f"{_TARGETS} ORDER BY targets.name")
    if info is not None:
        rows = [row for row in rows if info in (row["id"], row["name"])]
    for key, tag in (("build_tag", buildTagID), ("dest_tag", destTagID)):
        if tag is not None:
            rows = [row for row in rows if row[key] == known_tag(tag)["id"]]
    return query_options(rows, queryOpts)


@call("createBuildTarget", used_by="the box's set-up; koji add-target; contract tests")
def create_build_target(name: str, build_tag: Any, dest_tag: Any) -> None:
    """A new target."""
    require_permission("target")
    if get_build_target(name):
        raise koji.GenericError(f"A build target with the name '{name}' already exists")
    database().insert("targets", name=name, build_tag=known_tag(build_tag)["id"], dest_tag=known_tag(dest_tag)["id"])
    database().event()


def tag_build_row(tag: Any, build: Any, *, user_id: int, force: bool = False) -> None:
    """Put a build into a tag, after Koji's checks."""
    from fedpkg_container.box.hub.calls import builds

    row, found = known_tag(tag), builds.known_build(build)
    assert_may_tag(row, found, force=force)
    where = ("SELECT 1 FROM tag_builds WHERE tag_id = ? AND build_id = ?", row["id"], found["id"])
    if database().value(*where):
        raise koji.TagError(f"build {found['nvr']} already tagged ({row['name']})")
    event = database().event()
    database().execute("INSERT INTO tag_builds VALUES (?, ?, ?, ?)", row["id"], found["id"], user_id, event)


def assert_may_tag(tag: Row, build: Row, *, force: bool = False) -> None:
    """Refuse an incomplete build, a locked tag, and a package that the tag does not list."""
    from fedpkg_container.box.hub.calls.packages import package_list

    if build["state"] != koji.BUILD_STATES["COMPLETE"]:
        raise koji.TagError(f"build {build['nvr']} not complete: state {koji.BUILD_STATES[build['state']]}")
    if tag["locked"] and not (force and context.session.hasPerm("admin")):
        raise koji.TagError(f"Cannot tag {build['nvr']} into locked tag {tag['name']}")
    listed = package_list(tag["id"]).get(build["package_id"])
    if listed is None:
        raise koji.TagError(f"Package {build['name']} not in list for {tag['name']}")
    if listed["blocked"]:
        raise koji.TagError(f"Package {build['name']} blocked in {tag['name']}")


@call("tagBuildBypass", used_by="the box's set-up; contract tests")
def tag_build_bypass(tag: Any, build: Any, force: bool = False, notify: bool = False) -> None:
    """Tag a build at once, without a task."""
    require_permission("tag")
    tag_build_row(tag, build, user_id=context.session.user_id, force=force)


@call("listTags", used_by="koji buildinfo; the client")
def list_tags(
    build: Any = None, package: Any = None, perms: bool = True, queryOpts: Row | None = None, pattern: str | None = None
) -> Any:
    """All tags, or those that hold a build."""
    from fedpkg_container.box.hub.calls import builds

    if build is None:
        rows = [known_tag(row["id"]) for row in database().all("SELECT id FROM tags ORDER BY name")]
    else:
        found = builds.known_build(build)
        tagged = database().all("SELECT tag_id FROM tag_builds WHERE build_id = ? ORDER BY event_id", found["id"])
        rows = [known_tag(row["tag_id"]) for row in tagged]
    return query_options(rows, queryOpts)


@call("listTagged", used_by="koji list-tagged; the client")
def list_tagged(
    tag: Any, event: Any = None, inherit: bool = False, prefix: str | None = None, latest: Any = False,
    package: str | None = None, owner: str | None = None, type: str | None = None, strict: bool = True,  # noqa: A002
    extra: bool = False, draft: Any = None,
) -> list[Row]:  # fmt: skip
    """The builds that a tag holds, latest tagged first."""
    from fedpkg_container.box.hub.calls import builds
    from fedpkg_container.box.hub.calls.packages import package_list

    start = known_tag(tag)
    listed = package_list(start["id"])
    found: list[Row] = []
    seen: dict[int, int] = {}
    for tag_id in inheritance_order(start["id"]) if inherit else [start["id"]]:
        rows = database().all("SELECT * FROM tag_builds WHERE tag_id = ? ORDER BY event_id DESC", tag_id)
        for row in rows:
            build = builds.known_build(row["build_id"])
            entry = listed.get(build["package_id"])
            if entry is None or entry["blocked"] or build["state"] != koji.BUILD_STATES["COMPLETE"]:
                continue
            if (package and build["name"] != package) or (owner and build["owner_name"] != owner):
                continue
            if type and type not in builds.build_types(build["id"]):
                continue
            seen[build["package_id"]] = seen.get(build["package_id"], 0) + 1
            if latest and seen[build["package_id"]] > int(latest):
                continue
            found.append(_tagged(build, known_tag(tag_id), row["event_id"], extra=extra))
    return found


def _tagged(build: Row, tag: Row, event: int, *, extra: bool) -> Row:
    leave_out = {"cg_id", "cg_name", "source", "creation_ts", "start_ts", "completion_ts", "promotion_ts"}
    row = {key: value for key, value in build.items() if key not in leave_out and (extra or key != "extra")}
    return {**row, "tag_id": tag["id"], "tag_name": tag["name"], "create_event": event}
