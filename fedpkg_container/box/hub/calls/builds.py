# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds: create, query, cancel, number."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import packages, users
from fedpkg_container.box.hub.database import Row, query_options, seconds, timestamp
from fedpkg_container.box.hub.dispatch import call, database, topdir
from fedpkg_container.box.hub.lookups import find, path_component, require_permission
from fedpkg_container.box.hub.parameters import (
    BuildFields,
    BuildLookup,
    Lookup,
    Moment,
    NumberOrText,
    QueryOptions,
    UserLookup,
)

#: Seconds.
MONTH = 365.25 / 12 * 24 * 3600

BUILDING, COMPLETE, DELETED, BUILD_FAILED, BUILD_CANCELED = (
    koji.BUILD_STATES[name] for name in ("BUILDING", "COMPLETE", "DELETED", "FAILED", "CANCELED")
)

_BUILDS = (
    "SELECT builds.*, packages.name AS name, users.name AS owner_name, events.time AS creation_ts,"
    " content_generators.name AS cg_name FROM builds JOIN packages ON packages.id = package_id"
    " JOIN users ON users.id = owner JOIN events ON events.id = event_id"
    " LEFT JOIN content_generators ON content_generators.id = cg_id"
)


def build_row(build: object) -> Row | None:
    """Build by ID, NVR, or a dictionary with name, version and release, as the hub returns it."""
    if isinstance(build, int):
        row = database().one(f"{_BUILDS} WHERE builds.id = ?", build)
        return row and _shown(row)
    parts = koji.parse_NVR(build) if isinstance(build, str) else build
    if not isinstance(parts, dict):
        raise koji.GenericError(f"Invalid type for argument: {type(build)!r}")
    if not {"name", "version", "release"} <= set(parts):
        raise koji.GenericError("did not provide name, version, and release")
    values = (parts["name"], str(parts["version"]), str(parts["release"]))
    row = database().one(f"{_BUILDS} WHERE packages.name = ? AND version = ? AND release = ?", *values)
    return row and _shown(row)


def known_build(build: object) -> Row:
    """A build that must exist."""
    row = build_row(build)
    if row is None:
        raise koji.GenericError(f"No such build: {build!r}")
    return row


def _shown(row: Row) -> Row:
    return {
        "id": row["id"],
        "build_id": row["id"],
        "name": row["name"],
        "version": row["version"],
        "release": row["release"],
        "epoch": row["epoch"],
        "draft": False,
        "nvr": f"{row['name']}-{row['version']}-{row['release']}",
        "state": row["state"],
        "task_id": row["task_id"],
        "package_id": row["package_id"],
        "package_name": row["name"],
        "owner_id": row["owner"],
        "owner_name": row["owner_name"],
        "promoter_id": None,
        "promoter_name": None,
        "volume_id": 0,
        "volume_name": "DEFAULT",
        "creation_event_id": row["event_id"],
        "creation_time": timestamp(row["creation_ts"]),
        "creation_ts": row["creation_ts"],
        "start_time": timestamp(row["start_time"]),
        "start_ts": row["start_time"],
        "completion_time": timestamp(row["completion_time"]),
        "completion_ts": row["completion_time"],
        "promotion_time": None,
        "promotion_ts": None,
        "source": row["source"],
        "extra": json.loads(row["extra"]) if row["extra"] else None,
        "cg_id": row["cg_id"],
        "cg_name": row["cg_name"],
    }


def new_build(data: Row) -> int:
    """Create a build, or reuse a failed or canceled one; repeated calls of its task change nothing.

    :param data: name, version, release, epoch; optional state (default complete), owner, task_id, cg_id, source,
        extra, times
    """
    for key in ("version", "release", "epoch"):
        if key not in data:
            raise koji.GenericError(f"No {key} value for build")
    for key in ("name", "version", "release"):
        path_component(str(data[key]), key)
    old = build_row(data)
    if old is None:
        name = {"package_id": packages.package_id(data["name"])}
        return database().insert("builds", **name, **{k: str(data[k]) for k in ("version", "release")}, **_stored(data))
    if _is_asked_again(old, data):
        return int(old["id"])
    _assert_recyclable(old, data)
    database().execute("DELETE FROM build_types WHERE build_id = ?", old["id"])
    database().update("builds", old["id"], **_stored(data))
    return int(old["id"])


def _stored(data: Row) -> Row:
    now = time.time()
    return {
        "state": data.get("state", COMPLETE),
        "task_id": data.get("task_id"),
        "owner": data.get("owner") or context.session.user_id,
        "source": data.get("source"),
        "extra": json.dumps(data["extra"]) if data.get("extra") is not None else None,
        "epoch": data["epoch"],
        "start_time": data.get("start_time", now),
        "completion_time": data.get("completion_time", now),
        "cg_id": data.get("cg_id"),
        "event_id": database().event(),
    }


def _is_asked_again(old: Row, data: Row) -> bool:
    return bool(old["state"] == BUILDING == data.get("state") and data.get("task_id") == old["task_id"])


def _assert_recyclable(old: Row, data: Row) -> None:
    state = koji.BUILD_STATES[old["state"]]
    if old["state"] == BUILDING:
        raise koji.GenericError(f"Build already in progress (task {old['task_id']})")
    if old["state"] not in (BUILD_FAILED, BUILD_CANCELED):
        raise koji.GenericError(f"Build already exists (id={old['id']}, state={state}): {data!r}")
    for table, what in (("tag_builds", "tag history"), ("rpms", "rpm data"), ("archives", "archive data")):
        if database().value(f"SELECT 1 FROM {table} WHERE build_id = ?", old["id"]):
            raise koji.GenericError(f"Build already exists. Unable to recycle, has {what}")


@call("getBuild", used_by="the client; the builder plugin; koji buildinfo, rpminfo, import and others")
def get_build(buildInfo: BuildLookup, strict: bool = False) -> Row | None:
    """A build."""
    return known_build(buildInfo) if strict else build_row(buildInfo)


@call("listBuilds", used_by="the client; koji taskinfo, list-builds")
def list_builds(
    packageID: Lookup | None = None, userID: UserLookup | None = None, taskID: int | None = None, *,
    state: int | None = None, source: str | None = None,
    completeBefore: Moment | None = None, completeAfter: Moment | None = None, type: str | None = None,  # noqa: A002
    queryOpts: QueryOptions | None = None,
) -> object:  # fmt: skip
    """Builds by package, owner, task, state, source, time or type."""
    clauses, values = ["1"], []
    for clause, wanted in (
        ("package_id = ?", _id_of("packages", packageID)),
        ("owner = ?", _id_of("users", userID)),
        ("task_id = ?", taskID),
        ("builds.state = ?", state),
        ("builds.source = ?", source),
        ("completion_time < ?", completeBefore and seconds(completeBefore)),
        ("completion_time > ?", completeAfter and seconds(completeAfter)),
    ):
        if wanted is not None:
            clauses.append(clause)
            values.append(wanted)
    rows = database().all(f"{_BUILDS} WHERE {' AND '.join(clauses)} ORDER BY builds.id", *values)
    if type is not None:
        rows = [row for row in rows if type in build_types(row["id"])]
    return query_options([_listed(row) for row in rows], queryOpts)


def _id_of(table: str, info: object) -> int | None:
    """ID of a row that may be missing; 0 if it is."""
    if info is None or isinstance(info, int):
        return info
    row = find(table, info)
    return int(row["id"]) if row else 0


def _listed(row: Row) -> Row:
    return {key: value for key, value in _shown(row).items() if key not in ("id", "cg_id", "cg_name")}


def build_types(build_id: int) -> list[str]:
    """The types of a build: image, rpm."""
    return [row["btype"] for row in database().all("SELECT btype FROM build_types WHERE build_id = ?", build_id)]


def add_type(build_id: int, btype: str) -> None:
    """Add a type to a build."""
    database().execute("INSERT OR IGNORE INTO build_types VALUES (?, ?)", build_id, btype)


def _no_such_type(build: BuildLookup, strict: bool = False) -> None:
    return None


call("getMavenBuild", used_by="koji buildinfo")(_no_such_type)
call("getWinBuild", used_by="koji buildinfo")(_no_such_type)


@call("createEmptyBuild", used_by="the box's demo; koji import --create-build")
def create_empty_build(
    name: str,
    version: NumberOrText,
    release: NumberOrText,
    epoch: int | None,
    owner: UserLookup | None = None,
    draft: bool = False,
) -> int:
    """Create a complete, empty build."""
    require_permission("admin")
    data = {"name": name, "version": version, "release": release, "epoch": epoch, "state": COMPLETE}
    return new_build({**data, "owner": users.known_user(owner)["id"] if owner else None})


@call("getAverageBuildDuration", used_by="the client")
def get_average_build_duration(package: Lookup, age: int | None = None) -> float | None:
    """Mean duration in seconds, from start to end, of a package's complete builds made by tasks.

    :param age: months to look back
    """
    row = find("packages", package)
    if row is None:
        return None
    since = 0.0 if age is None else time.time() - age * MONTH
    average: float | None = database().value(
        "SELECT avg(completion_time - events.time) FROM builds JOIN events ON events.id = event_id"
        " WHERE package_id = ? AND state = ? AND (task_id IS NOT NULL OR extra LIKE '%koji_task_id%')"
        " AND completion_time > ?",
        row["id"], COMPLETE, since,
    )  # fmt: skip
    return average


@call("getNextRelease", used_by="the builder plugin")
def get_next_release(build_info: BuildFields, incr: int = 1) -> str:
    """Release that follows the newest build of this name and version."""
    newest = database().value(
        "SELECT release FROM builds JOIN packages ON packages.id = package_id WHERE packages.name = ? AND version = ?"
        " AND state IN (?, ?, ?) ORDER BY builds.id DESC LIMIT 1",
        build_info["name"], build_info["version"], COMPLETE, DELETED, BUILDING,
    )  # fmt: skip
    if not newest:
        return str(incr)
    patterns = (r"(\d+)", r"(\d+)(\.[^.]+)", r"(\d+\.[^.]+\.)(\d+)")
    for number, pattern in enumerate(patterns):
        match = re.fullmatch(pattern, newest)
        if match:
            parts = list(match.groups())
            place = 1 if number == 2 else 0
            parts[place] = str(int(parts[place]) + incr)
            return "".join(parts)
    raise koji.BuildError(f"Unable to increment release value: {newest}")


@call("getBuildLogs", used_by="koji download-logs --nvr")
def get_build_logs(build: BuildLookup) -> list[Row]:
    """Logs imported with a build."""
    directory = Path(koji.pathinfo.build_logs(known_build(build)))
    logs = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            below = path.parent.relative_to(directory).as_posix()
            logs.append({
                "name": path.name,
                "dir": below,
                "path": os.path.join(directory.relative_to(topdir()), below, path.name),
            })  # fmt: skip
    return logs
