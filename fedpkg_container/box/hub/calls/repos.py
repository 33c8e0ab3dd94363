# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about repositories of tags."""

from __future__ import annotations

import os
import time
from pathlib import Path

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import hosts, tagging, tags, tasks
from fedpkg_container.box.hub.calls.builds import known_build
from fedpkg_container.box.hub.database import Row, timestamp
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.kinds import Integer
from fedpkg_container.box.hub.lookups import (
    assert_now,
    entry,
    one_row,
    open_to_workers,
    path_component,
    require_login,
    require_permission,
)
from fedpkg_container.box.hub.parameters import Lookup, NumberOrText

INIT, READY, EXPIRED = koji.REPO_INIT, koji.REPO_READY, koji.REPO_EXPIRED
#: Method and priority of tasks that create repositories.
METHOD, PRIORITY = "newRepo", 15


_REPOS = (
    "SELECT repos.*, tags.name AS tag_name, tasks.state AS task_state, events.time AS create_ts FROM repos"
    " JOIN tags ON tags.id = repos.tag_id JOIN events ON events.id = repos.event_id"
    " LEFT JOIN tasks ON tasks.id = repos.task_id"
)
_OPTIONS = {"src": False, "debuginfo": False, "separate_src": False, "maven": False}


def _shown(row: Row) -> Row:
    return {
        **{key: row[key] for key in ("id", "tag_id", "tag_name", "state", "task_id", "task_state", "create_ts")},
        "create_event": row["event_id"],
        "creation_time": timestamp(row["create_time"]),
        "creation_ts": row["create_time"],
        "state_time": timestamp(row["state_time"]),
        "state_ts": row["state_time"],
        **dict.fromkeys(("begin_event", "begin_ts", "end_event", "end_ts")),
        "dist": False,
        "opts": dict(_OPTIONS),
        "custom_opts": {},
    }


@call("getRepo", used_by="the client; the builder plugin; pyrpkg")
def get_repo(
    tag: Lookup,
    state: int | None = None,
    event: int | None = None,
    dist: bool = False,
    min_event: int | None = None,
) -> Row | None:
    """Newest ready repository of a tag, or None."""
    assert_now(event)
    if dist:
        return None
    row = database().one(
        f"{_REPOS} WHERE repos.tag_id = ? AND repos.state = ? AND event_id >= ? ORDER BY repos.id DESC LIMIT 1",
        entry("tag", tag)["id"], READY if state is None else state, min_event or 0,
    )  # fmt: skip
    return row and _shown(row)


@call("repo.get", used_by="koji.util.RepoWatcher (koji wait-repo)")
def get(tag: Lookup, min_event: int | None = None, at_event: int | None = None, opts: Row | None = None) -> Row | None:
    """Newest ready repository of a tag that is not older than an event, or None."""
    assert_now(at_event)
    return None if opts else get_repo(tags.known_tag(tag)["id"], min_event=min_event)


@call("repoInfo", used_by="koji.util (koji list-tagged --repo)")
def repo_info(repo_id: int, strict: bool = False) -> Row | None:
    """A repository by ID."""
    row = database().one(f"{_REPOS} WHERE repos.id = ?", repo_id)
    if strict:
        row = one_row(row)
    return row and _shown(row)


@call("getLastEvent", used_by="koji.util (koji list-tagged --ts)")
def get_last_event(before: float | None = None, strict: bool = True) -> Row | None:
    """Newest change of tags or builds, or newest before a time."""
    moment = float("inf") if before is None else float(before)
    row = database().one("SELECT id, time AS ts FROM events WHERE time < ? ORDER BY id DESC LIMIT 1", moment)
    return one_row(row) if strict else row


@call("newRepo", used_by="the box's demo; koji regen-repo --make-task")
def new_repo(tag: Lookup) -> int:
    """Create a task that regenerates a tag's repo."""
    if not context.session.hasPerm("repo"):
        require_permission("regen-repo")
    return _make_task(tags.known_tag(tag))


def _make_task(tag: Row) -> int:
    return tasks.make_task(METHOD, [tag["name"]], priority=PRIORITY, channel="createrepo")


@call("repo.request", used_by="koji.util.RepoWatcher (koji regen-repo)")
def request(
    tag: Lookup, min_event: NumberOrText | None = None, at_event: int | None = None, opts: Row | None = None
) -> Row:
    """A repository of a tag that is not older than an event, or else a request for one.

    A request is the task that creates the repository, with its ID.
    """
    require_login()
    row = tags.known_tag(tag)
    assert_now(at_event)
    if opts:
        raise koji.GenericError("This hub makes repositories without options")
    least = tags.tag_last_change_event(row["id"]) if min_event in (None, "last") else Integer().convert(min_event)
    repo = get_repo(row["id"], min_event=least)
    if repo is not None:
        return {"repo": repo, "request": None, "duplicate": False}
    # Free or assigned: a started one may have missed the latest change.
    waiting = [task for task in _tasks_of(row) if task["state"] in (tasks.FREE, tasks.ASSIGNED)]
    task_id = waiting[0]["id"] if waiting else _make_task(row)
    return {"repo": None, "request": _request(tasks.task_row(task_id), least), "duplicate": bool(waiting)}


def _tasks_of(tag: Row) -> list[Row]:
    rows = database().all("SELECT * FROM tasks WHERE method = ? ORDER BY id", METHOD)
    return [row for row in rows if tasks.get_task_request(row["id"])[0] == tag["name"]]


def _request(task: Row, least: int | None = None) -> Row:
    return {
        "id": task["id"],
        "task_id": task["id"],
        "task_state": task["state"],
        "active": task["state"] not in tasks.ENDED,
        "repo_id": database().value("SELECT id FROM repos WHERE task_id = ? AND state = ?", task["id"], READY),
        "min_event": least,
        "tries": 1,
    }


@call("repo.checkRequest", used_by="koji.util.RepoWatcher (koji regen-repo)")
def check_request(req_id: int) -> Row:
    """State of a request, and its repository once ready."""
    task = tasks.stored(req_id)
    if task is None or task["method"] != METHOD:
        raise koji.GenericError("No such request")
    repo_request = _request(task)
    return {"repo": repo_info(repo_request["repo_id"]) if repo_request["repo_id"] else None, "request": repo_request}


@call("host.repoInit", used_by="the box's builder (newRepo)")
def repo_init(tag: Lookup, task_id: int | None = None) -> list[int]:
    """Start a repository: a subdirectory per architecture, each with the list of its packages."""
    hosts.calling_host()
    row = tags.known_tag(tag)
    event_id = database().event()
    now = time.time()
    repo_id = database().insert(
        "repos", tag_id=row["id"], state=INIT, event_id=event_id, task_id=task_id, create_time=now, state_time=now
    )
    root = Path(koji.pathinfo.repo(repo_id, path_component(row["name"], "tag name")))
    for arch in (tags.get_build_config(row["id"])["arches"] or "").split():
        directory = root / path_component(koji.canonArch(arch), "arch")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "toplink").symlink_to(os.path.relpath(koji.pathinfo.topdir, directory))
        names = sorted(_rpm_paths(row["id"], koji.canonArch(arch)))
        (directory / "pkglist").write_text("".join(f"toplink/{name}\n" for name in names))
        open_to_workers(directory / "pkglist")
    return [repo_id, event_id]


def _rpm_paths(tag_id: int, arch: str) -> list[str]:
    """RPM files of a tag's latest builds installable on an architecture, below topdir."""
    paths = []
    for build in tagging.list_tagged(tag_id, inherit=True, latest=True, type="rpm"):
        for row in database().all("SELECT * FROM rpms WHERE build_id = ? AND arch != 'src'", build["id"]):
            if row["arch"] == "noarch" or koji.canonArch(row["arch"]) == arch:
                path = f"{koji.pathinfo.build(known_build(build['id']))}/{koji.pathinfo.rpm(row)}"
                paths.append(os.path.relpath(path, koji.pathinfo.topdir))
    return paths


@call("host.repoDone", used_by="the box's builder (newRepo)")
def repo_done(repo_id: int, data: Row) -> None:
    """Mark a repository ready, and expire earlier ones of its tag.

    :param data: files uploaded for it: none, the box's builder writes to the directory itself
    """
    hosts.calling_host()
    row = one_row(database().one("SELECT * FROM repos WHERE id = ?", repo_id))
    if row["state"] != INIT:
        raise koji.GenericError(f"Repo {repo_id} not in INIT state (got {row['state']})")
    now = time.time()
    database().execute(
        "UPDATE repos SET state = ?, state_time = ? WHERE tag_id = ? AND state = ?", EXPIRED, now, row["tag_id"], READY
    )
    database().update("repos", row["id"], state=READY, state_time=now)
