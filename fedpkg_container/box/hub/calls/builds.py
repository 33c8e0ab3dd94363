"""Builds: making, reading, canceling, numbering."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import packages, users
from fedpkg_container.box.hub.database import Row, query_options, timestamp
from fedpkg_container.box.hub.dispatch import call, database, require_login, require_permission

BUILDING, COMPLETE, DELETED, BUILD_FAILED, BUILD_CANCELED = (
    koji.BUILD_STATES[name] for name in ("BUILDING", "COMPLETE", "DELETED", "FAILED", "CANCELED")
)

_BUILDS = (
    "SELECT builds.*, packages.name AS name, users.name AS owner_name, events.time AS creation_ts,"
    " content_generators.name AS cg_name FROM builds JOIN packages ON packages.id = package_id"
    " JOIN users ON users.id = owner JOIN events ON events.id = event_id"
    " LEFT JOIN content_generators ON content_generators.id = cg_id"
)


def build_row(build: Any) -> Row | None:
    """A build by id, NVR, or a dictionary with name, version and release; as the hub shows it."""
    if isinstance(build, str):
        try:
            build = koji.parse_NVR(build)
        except koji.GenericError:
            return None
    if isinstance(build, dict):
        if build.get("id") and "name" not in build:
            build = build["id"]
        else:
            values = (build["name"], build["version"], build["release"])
            row = database().one(f"{_BUILDS} WHERE packages.name = ? AND version = ? AND release = ?", *values)
            return row and _shown(row)
    row = database().one(f"{_BUILDS} WHERE builds.id = ?", build)
    return row and _shown(row)


def known_build(build: Any) -> Row:
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
    """A new build, or one that failed or was canceled, taken up again.

    :param data: name, version, release, epoch, state, and where known owner, task_id, cg_id, source, extra, times
    """
    old = build_row(data)
    now = time.time()
    values = {
        "state": data["state"],
        "task_id": data.get("task_id"),
        "owner": data.get("owner") or context.session.user_id,
        "source": data.get("source"),
        "extra": json.dumps(data["extra"]) if data.get("extra") is not None else None,
        "epoch": data.get("epoch"),
        "start_time": data.get("start_time", now),
        "completion_time": data.get("completion_time", now),
        "cg_id": data.get("cg_id"),
        "event_id": database().event(),
    }
    if old is None:
        return database().insert(
            "builds",
            package_id=packages.package_id(data["name"]),
            version=str(data["version"]),
            release=str(data["release"]),
            **values,
        )
    _assert_recyclable(old, data)
    database().execute("DELETE FROM build_types WHERE build_id = ?", old["id"])
    database().update("builds", old["id"], **values)
    return int(old["id"])


def _assert_recyclable(old: Row, data: Row) -> None:
    state = koji.BUILD_STATES[old["state"]]
    if old["state"] == BUILDING:
        if data["state"] == BUILDING and data.get("task_id", "") == old["task_id"]:
            return
        raise koji.GenericError(f"Build already in progress (task {old['task_id']})")
    if old["state"] not in (BUILD_FAILED, BUILD_CANCELED):
        raise koji.GenericError(f"Build already exists (id={old['id']}, state={state}): {data!r}")
    for table, what in (("tag_builds", "tag history"), ("rpms", "rpm data"), ("archives", "archive data")):
        if database().value(f"SELECT 1 FROM {table} WHERE build_id = ?", old["id"]):
            raise koji.GenericError(f"Build already exists. Unable to recycle, has {what}")


@call("getBuild", used_by="the client; koji buildinfo; the builder plugin")
def get_build(buildInfo: Any, strict: bool = False) -> Row | None:
    """A build."""
    return known_build(buildInfo) if strict else build_row(buildInfo)


@call("listBuilds", used_by="koji taskinfo, list-builds; the client")
def list_builds(
    packageID: Any = None, userID: Any = None, taskID: Any = None, prefix: str | None = None, state: Any = None,
    volumeID: Any = None, source: str | None = None, createdBefore: Any = None, createdAfter: Any = None,
    completeBefore: Any = None, completeAfter: Any = None, type: str | None = None, typeInfo: Any = None,  # noqa: A002
    queryOpts: Row | None = None, pattern: str | None = None, cgID: Any = None, draft: Any = None,
) -> Any:  # fmt: skip
    """Builds by package, owner, task, state, content generator or type."""
    clauses, values = ["1"], []
    named = (("package_id", packageID, packages.get_package_id), ("owner", userID, _user_id), ("task_id", taskID, None),
             ("builds.state", state, None), ("cg_id", cgID, None), ("builds.source", source, None))  # fmt: skip
    for column, wanted, by_name in named:
        if wanted is not None:
            clauses.append(f"{column} = ?")
            values.append(by_name(wanted) if by_name and isinstance(wanted, str) else wanted)
    rows = [_shown(row) for row in database().all(f"{_BUILDS} WHERE {' AND '.join(clauses)} ORDER BY builds.id", *values)]
    if type is not None:
        rows = [row for row in rows if type in build_types(row["id"])]
    return query_options([{**row, "nvr": row["nvr"]} for row in rows], queryOpts)


def _user_id(name: str) -> int:
    return int(users.known_user(name)["id"])


def build_types(build_id: int) -> list[str]:
    """The types of a build: image, rpm."""
    return [row["btype"] for row in database().all("SELECT btype FROM build_types WHERE build_id = ?", build_id)]


def add_type(build_id: int, btype: str) -> None:
    """Say that a build is of a type."""
    database().execute("INSERT OR IGNORE INTO build_types VALUES (?, ?)", build_id, btype)


@call("getBuildType", used_by="koji buildinfo")
def get_build_type(buildInfo: Any, strict: bool = False) -> Row | None:
    """The types of a build with what is known of each."""
    build = known_build(buildInfo) if strict else build_row(buildInfo)
    if build is None:
        return None
    typeinfo = (build["extra"] or {}).get("typeinfo", {})
    return {btype: typeinfo.get(btype) for btype in build_types(build["id"])}


def _no_such_type(build: Any, strict: bool = False) -> None:
    return None


call("getMavenBuild", used_by="koji buildinfo")(_no_such_type)
call("getWinBuild", used_by="koji buildinfo")(_no_such_type)


@call("createEmptyBuild", used_by="the box's set-up; koji import")
def create_empty_build(
    name: str, version: str, release: str, epoch: int | None, owner: Any = None, draft: bool = False
) -> int:
    """A complete build with nothing in it yet."""
    require_permission("admin")
    data = {"name": name, "version": version, "release": release, "epoch": epoch, "state": COMPLETE}
    return new_build({**data, "owner": users.known_user(owner)["id"] if owner else None})


def cancel_build_row(build_id: int, *, cancel_task: bool = True) -> bool:
    """Cancel a build that is building, its reservation, and the tree of its task."""
    from fedpkg_container.box.hub.calls import tasks

    build = known_build(build_id)
    if build["state"] != BUILDING:
        return False
    database().update("builds", build["id"], state=BUILD_CANCELED, completion_time=time.time())
    if build["task_id"] is not None and cancel_task:
        tasks.cancel_group(build["task_id"])
    database().execute("DELETE FROM reservations WHERE build_id = ?", build["id"])
    return True


@call("cancelBuild", used_by="the builder plugin (an orphaned reservation); koji cancel")
def cancel_build(buildID: Any, strict: bool = False) -> bool:
    """Cancel a build, by its owner or an admin; says whether there was anything to cancel."""
    require_login()
    build = known_build(buildID) if strict else build_row(buildID)
    if build is None:
        return False
    if build["owner_id"] != context.session.user_id and not context.session.hasPerm("admin"):
        raise koji.ActionNotAllowed("not owner")
    return cancel_build_row(build["id"])


@call("getNextRelease", used_by="the builder plugin")
def get_next_release(build_info: Row, incr: int = 1) -> str:
    """The release after that of the newest build of this name and version."""
    newest = database().value(
        "SELECT release FROM builds JOIN packages ON packages.id = package_id WHERE packages.name = ? AND version = ?"
        " AND state IN (?, ?, ?) ORDER BY builds.id DESC LIMIT 1",
        build_info["name"], build_info["version"], COMPLETE, DELETED, BUILDING,
    )  # fmt: skip
    if not newest:
        return str(incr)
    patterns = (r"(\d+)", r"(\d+)(\.[^.]+)", r"(\d+\.[^.]+\.)(\d+)")
    for number, pattern in enumerate(patterns):
        found = re.fullmatch(pattern, newest)
        if found:
            parts = list(found.groups())
            place = 1 if number == 2 else 0
            parts[place] = str(int(parts[place]) + incr)
            return "".join(parts)
    raise koji.BuildError(f"Unable to increment release value: {newest}")


@call("getBuildLogs", used_by="koji download-logs --nvr; the client")
def get_build_logs(build: Any) -> list[Row]:
    """The logs that were imported with a build."""
    from fedpkg_container.box.hub.dispatch import topdir

    found = known_build(build)
    folder = topdir() / koji.pathinfo.build(found).removeprefix(f"{koji.pathinfo.topdir}/") / "data" / "logs"
    logs = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file():
            relative = path.parent.relative_to(folder).as_posix()
            logs.append({"name": path.name, "dir": relative, "path": path.relative_to(topdir()).as_posix()})
    return logs
