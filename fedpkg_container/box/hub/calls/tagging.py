# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds in tags."""

from __future__ import annotations

import fnmatch

import koji
from koji.context import context

from fedpkg_container.box.hub import policies
from fedpkg_container.box.hub.calls import builds, hosts, tasks
from fedpkg_container.box.hub.calls.packages import assert_listed, list_packages, package_list
from fedpkg_container.box.hub.calls.tags import get_tag, inheritance_order, known_tag, listed_tag
from fedpkg_container.box.hub.calls.users import permissions_of
from fedpkg_container.box.hub.database import Row, query_options
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import assert_now, entry, find, require_login, require_permission
from fedpkg_container.box.hub.parameters import BuildLookup, Count, Lookup, QueryOptions

#: Priority of tasks that tag builds.
TAG_PRIORITY = 10


def _assert_complete(build: Row) -> None:
    if build["state"] != builds.COMPLETE:
        raise koji.TagError(f"build {build['nvr']} not complete: state {koji.BUILD_STATES[build['state']]}")


def _assert_unlocked(tag: Row, user_id: int, *, force: bool) -> None:
    granted = permissions_of(user_id)
    if force and "admin" in granted:
        return
    if tag["locked"]:
        raise koji.ActionNotAllowed("tag is locked")
    if tag["perm"] and tag["perm"] not in granted:
        raise koji.ActionNotAllowed(f"tag requires {tag['perm']} permission")


def _assert_allowed(
    user_id: int, build: Row, *, tag: Row | None = None, fromtag: Row | None = None, force: bool
) -> None:
    """Check the policy ``tag``, with the same data as Koji."""
    operation = "untag" if tag is None else "move" if fromtag else "tag"
    data = {"tag": tag and tag["id"], "fromtag": fromtag and fromtag["id"], "operation": operation}
    policies.assert_policy("tag", {**data, "build": build["id"], "user_id": user_id}, force=force)


def _tag(tag: Row, build: Row, user_id: int, *, force: bool) -> None:
    """Tag a build; with ``force`` again if tagged, so that it becomes the latest."""
    _assert_unlocked(tag, user_id, force=force)
    _assert_complete(build)
    if _remove(tag, build) and not force:
        raise koji.TagError(f"build {build['nvr']} already tagged ({tag['name']})")
    event = database().event(tag["id"])
    database().execute("INSERT INTO tag_builds VALUES (?, ?, ?, ?)", tag["id"], build["id"], user_id, event)


def _untag(tag: Row, build: Row, user_id: int, *, strict: bool, force: bool) -> None:
    _assert_unlocked(tag, user_id, force=force)
    if _remove(tag, build):
        database().event(tag["id"])
    elif strict:
        raise koji.TagError(f"build {build['nvr']} not in tag {tag['name']}")


def _remove(tag: Row, build: Row) -> bool:
    return bool(database().execute("DELETE FROM tag_builds WHERE tag_id = ? AND build_id = ?", tag["id"], build["id"]))


@call("tagBuild", used_by="koji tag-build")
def tag_build(tag: Lookup, build: BuildLookup, force: bool = False, fromtag: Lookup | None = None) -> int:
    """Create a task that tags a build, and untags it from ``fromtag`` if given; return its ID."""
    user_id = require_login()
    build_info, row = builds.known_build(build), known_tag(tag)
    source = listed_tag(entry("tag", fromtag)) if fromtag else None
    _assert_complete(build_info)
    for each in (row, source):
        if each:
            _assert_unlocked(each, user_id, force=force)
    assert_listed(row, build_info)
    _assert_allowed(user_id, build_info, tag=row, fromtag=source, force=force)
    return tasks.make_task(
        "tagBuild", [row["id"], build_info["id"], force, source and source["id"]], priority=TAG_PRIORITY
    )


@call("host.tagBuild", used_by="the builder plugin; the box's builder (tagBuild)")
def host_tag_build(
    task_id: int, tag: Lookup, build: BuildLookup, force: bool = False, fromtag: Lookup | None = None
) -> None:
    """Tag a build as the owner of a task, and untag it from ``fromtag`` if given."""
    owner = hosts.own_task(task_id)["owner"]
    build_info, row = builds.known_build(build), known_tag(tag)
    source = known_tag(fromtag) if fromtag else None
    _assert_allowed(owner, build_info, tag=row, fromtag=source, force=force)
    assert_listed(row, build_info)
    if source:
        _untag(source, build_info, owner, strict=True, force=force)
    _tag(row, build_info, owner, force=force)


@call("tagBuildBypass", used_by="the box's demo")
def tag_build_bypass(tag: Lookup, build: BuildLookup, force: bool = False, notify: bool = False) -> None:
    """Tag a build at once, without a task; the tag need not list its package."""
    require_permission("tag")
    row, build_info = known_tag(tag), builds.known_build(build)
    _assert_allowed(context.session.user_id, build_info, tag=row, force=force)
    _tag(row, build_info, context.session.user_id, force=force)


@call("moveBuild", used_by="koji move-build")
def move_build(tag1: Lookup, tag2: Lookup, build: BuildLookup, force: bool = False) -> int:
    """Create a task that moves a build to another tag; return its ID."""
    return tag_build(tag2, build, force=force, fromtag=tag1)


@call("moveAllBuilds", used_by="koji move-build --all")
def move_all_builds(tag1: Lookup, tag2: Lookup, package: Lookup, force: bool = False) -> list[int]:
    """Create tasks that move the builds of a package from one tag to another, oldest first; return their IDs."""
    name = entry("package", package)["name"]
    tagged = list_tagged(tag1, package=name)[::-1]
    return [move_build(tag1, tag2, build["build_id"], force=force) for build in tagged]


@call("untagBuild", used_by="koji untag-build; fedpkg-container-registry unpromote")
def untag_build(tag: Lookup, build: BuildLookup, strict: bool = True, force: bool = False) -> None:
    """Untag a build."""
    user_id = require_login()
    row, build_info = known_tag(tag), builds.known_build(build)
    _assert_allowed(user_id, build_info, fromtag=row, force=force)
    _untag(row, build_info, user_id, strict=strict, force=force)


@call("queryHistory", used_by="koji untag-build, list-history")
def query_history(
    tables: list[str] | None = None,
    tag: Lookup | None = None,
    build: BuildLookup | None = None,
    package: Lookup | None = None,
    pkg: Lookup | None = None,
    active: bool | None = None,
) -> dict[str, list[Row]]:
    """Builds that are tagged now, as history entries; this hub stores no past entries, and no other tables.

    :param pkg: sent by koji untag-build; ignored by hubs
    """
    wanted = {
        "tag_id": None if tag is None else entry("tag", tag)["id"],
        "build_id": None if build is None else builds.known_build(build)["id"],
        "package_id": None if package is None else entry("package", package)["id"],
    }
    rows = database().all(
        "SELECT tag_builds.*, users.name AS creator_name, events.time AS create_ts FROM tag_builds"
        " JOIN users ON users.id = creator JOIN events ON events.id = event_id ORDER BY event_id"
    )
    listing = [_history_entry(row, builds.known_build(row["build_id"])) for row in rows if active is not False]
    listing = [row for row in listing if all(value in (None, row[key]) for key, value in wanted.items())]
    for row in listing:
        del row["package_id"]
    return {**{table: [] for table in tables or ()}, "tag_listing": listing}


def _history_entry(row: Row, build: Row) -> Row:
    return {
        **{key: build[key] for key in ("build_id", "name", "version", "release", "epoch", "package_id")},
        "build.state": build["state"],
        "tag_id": row["tag_id"],
        "tag.name": known_tag(row["tag_id"])["name"],
        "active": True,
        "create_event": row["event_id"],
        "create_ts": row["create_ts"],
        "creator_id": row["creator"],
        "creator_name": row["creator_name"],
        **dict.fromkeys(("revoke_event", "revoke_ts", "revoker_id", "revoker_name")),
    }


@call("listTags", used_by="the builder plugin; promote; koji buildinfo")
def list_tags(
    build: BuildLookup | None = None,
    package: Lookup | None = None,
    *,
    queryOpts: QueryOptions | None = None,
    pattern: str | None = None,
) -> object:
    """All tags, those of a build, or those that list a package and how."""
    if package is not None:
        return query_options([_tag_of(row) for row in _listings_of(package)], queryOpts)
    tables, clauses, values = "tags", ["1"], []
    if build is not None:
        build_info = builds.build_row(build)
        if build_info is None:
            raise koji.GenericError(f"No such build: {build}")
        tables += " JOIN tag_builds ON tag_builds.tag_id = tags.id"
        clauses.append("build_id = ?")
        values.append(build_info["id"])
    rows = database().all(f"SELECT tags.* FROM {tables} WHERE {' AND '.join(clauses)} ORDER BY tags.name", *values)
    if pattern is not None:
        rows = [row for row in rows if fnmatch.fnmatchcase(row["name"].lower(), pattern.lower())]
    return query_options([listed_tag(row) for row in rows], queryOpts)


def _listings_of(package: object) -> list[Row]:
    row = find("packages", package)
    if row is None:
        raise koji.GenericError(f"No such package: {package}")
    listings: list[Row] = list_packages(pkgID=row["id"])
    return listings


def _tag_of(listing: Row) -> Row:
    keys = ("owner_id", "owner_name", "blocked", "extra_arches")
    tag = {key: value for key, value in known_tag(listing["tag_id"]).items() if key != "extra"}
    return {**tag, **{key: listing[key] for key in keys}}


@call("listTagged", used_by="promote; the box's demo; koji list-tagged")
def list_tagged(
    tag: Lookup, event: int | None = None, inherit: bool = False, prefix: str | None = None, latest: Count = False,
    package: str | None = None, owner: str | None = None, type: str | None = None, strict: bool = True,  # noqa: A002
    extra: bool = False,
) -> list[Row]:  # fmt: skip
    """Builds in a tag, latest tagged first."""
    assert_now(event)
    start = get_tag(tag, strict=strict)
    if start is None:
        return []
    entries = package_list(start["id"])
    tagged: list[Row] = []
    seen: dict[int, int] = {}
    for tag_id in inheritance_order(start["id"]) if inherit else [start["id"]]:
        rows = database().all("SELECT * FROM tag_builds WHERE tag_id = ? ORDER BY event_id DESC", tag_id)
        for row in rows:
            build = builds.known_build(row["build_id"])
            listing = entries.get(build["package_id"])
            if listing is None or listing["blocked"] or build["state"] != builds.COMPLETE:
                continue
            if prefix and not build["name"].lower().startswith(prefix.lower()):
                continue
            if (package and build["name"] != package) or (owner and build["owner_name"] != owner):
                continue
            if type and type not in builds.build_types(build["id"]):
                continue
            seen[build["package_id"]] = seen.get(build["package_id"], 0) + 1
            if latest and seen[build["package_id"]] > int(latest):
                continue
            tagged.append(_tagged(build, known_tag(tag_id), row["event_id"], extra=extra))
    return tagged


def _tagged(build: Row, tag: Row, event: int, *, extra: bool) -> Row:
    leave_out = {"cg_id", "cg_name", "source", "creation_ts", "start_ts", "completion_ts", "promotion_ts"}
    row = {key: value for key, value in build.items() if key not in leave_out and (extra or key != "extra")}
    return {**row, "tag_id": tag["id"], "tag_name": tag["name"], "create_event": event}
