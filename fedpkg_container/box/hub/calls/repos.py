"""Repositories of build tags: asking for one, and the builder's part in making it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import koji

from fedpkg_container.box.hub.calls import hosts, tags, tasks
from fedpkg_container.box.hub.calls.builds import known_build
from fedpkg_container.box.hub.database import Row, timestamp
from fedpkg_container.box.hub.dispatch import call, database, require_permission

INIT, READY, EXPIRED = koji.REPO_INIT, koji.REPO_READY, koji.REPO_EXPIRED


@call("getRepo", used_by="the builder plugin")
def get_repo(
    tag: Any, state: int | None = None, event: Any = None, dist: bool = False, min_event: Any = None
) -> Row | None:
    """The newest ready repository of a tag; None when there is none."""
    row = database().one(
        "SELECT * FROM repos WHERE tag_id = ? AND state = ? ORDER BY id DESC LIMIT 1",
        tags.known_tag(tag)["id"],
        READY if state is None else state,
    )
    return row and {
        "id": row["id"],
        "state": row["state"],
        "task_id": row["task_id"],
        "create_event": row["event_id"],
        "creation_time": timestamp(row["create_time"]),
        "create_ts": row["create_time"],
        "dist": False,
    }


@call("getLastEvent", used_by="koji.tasks; the builder plugin")
def get_last_event(before: Any = None, strict: bool = True) -> Row | None:
    """The newest change of tags or builds."""
    row = database().one("SELECT id, time AS ts FROM events ORDER BY id DESC LIMIT 1")
    if row is None and strict:
        raise koji.GenericError("Event not found")
    return row


@call("newRepo", used_by="the box's set-up; koji regen-repo")
def new_repo(tag: Any, event: Any = None, src: bool = False, debuginfo: bool = False, separate_src: bool = False) -> int:
    """A task that makes the repository of a tag anew."""
    require_permission("repo")
    name = tags.known_tag(tag)["name"]
    return tasks.make_task("newRepo", [name], priority=15, channel="createrepo")


@call("host.repoInit", used_by="the box's builder (newRepo)")
def repo_init(tag: Any, task_id: int | None = None, event: Any = None, opts: Row | None = None) -> list[int]:
    """Begin a repository: its folder with one of each arch, and in each the list of its packages."""
    hosts.calling_host()
    row = tags.known_tag(tag)
    event_id = database().event()
    now = time.time()
    repo_id = database().insert(
        "repos", tag_id=row["id"], state=INIT, event_id=event_id, task_id=task_id, create_time=now, state_time=now
    )
    root = Path(koji.pathinfo.repo(repo_id, row["name"]))
    for arch in (tags.get_build_config(row["id"])["arches"] or "").split():
        folder = root / koji.canonArch(arch)
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(_rpm_paths(row["id"], koji.canonArch(arch)))
        (folder / "pkglist").write_text("".join(f"{os.path.relpath(path, folder)}\n" for path in names))
    return [repo_id, event_id]


def _rpm_paths(tag_id: int, arch: str) -> list[str]:
    """The RPM files of the latest builds of a tag that an arch can install."""
    paths = []
    for build in tags.list_tagged(tag_id, inherit=True, latest=True, type="rpm"):
        for row in database().all("SELECT * FROM rpms WHERE build_id = ? AND arch != 'src'", build["id"]):
            if row["arch"] == "noarch" or koji.canonArch(row["arch"]) == arch:
                paths.append(f"{koji.pathinfo.build(known_build(build['id']))}/{koji.pathinfo.rpm(row)}")
    return paths


@call("host.repoDone", used_by="the box's builder (newRepo)")
def repo_done(repo_id: int, data: Row, expire: bool = False, **options: Any) -> None:
    """A repository is ready; the earlier ones of its tag expire."""
    hosts.calling_host()
    row = database().one("SELECT * FROM repos WHERE id = ?", repo_id)
    if row is None:
        raise koji.GenericError(f"No such repo: {repo_id}")
    if row["state"] != INIT:
        raise koji.GenericError(f"Repo {repo_id} not in INIT state (got {koji.REPO_STATES[row['state']]})")
    if expire:
        database().update("repos", repo_id, state=EXPIRED, state_time=time.time())
        return
    database().execute("UPDATE repos SET state = ? WHERE tag_id = ? AND state = ?", EXPIRED, row["tag_id"], READY)
    database().update("repos", repo_id, state=READY, state_time=time.time())
