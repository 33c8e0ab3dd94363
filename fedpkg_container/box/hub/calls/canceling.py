# SPDX-License-Identifier: GPL-2.0-or-later
"""Canceling tasks and builds: each cancels the other."""

from __future__ import annotations

import time

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import hosts
from fedpkg_container.box.hub.calls.builds import BUILD_CANCELED, BUILDING, build_row, known_build
from fedpkg_container.box.hub.calls.tasks import CANCELED, ENDED, OPEN, stored, task_row
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database, wake_builders
from fedpkg_container.box.hub.lookups import one_row, require_login, require_permission
from fedpkg_container.box.hub.parameters import BuildLookup


def _cancel(task_id: int, *, recurse: bool = True) -> None:
    """Cancel an unfinished task, its build and its descendants."""
    row = task_row(task_id)
    if row["state"] in ENDED:
        return
    database().update("tasks", row["id"], state=CANCELED, completion_time=time.time())
    wake_builders()
    for build in database().all("SELECT id FROM builds WHERE task_id = ? AND state = ?", row["id"], BUILDING):
        _cancel_row(build)
    if recurse:
        _cancel_children(task_id)


def _cancel_children(task_id: int) -> None:
    """Cancel all tasks below a task."""
    for child in database().all("SELECT id FROM tasks WHERE parent = ?", task_id):
        _cancel(child["id"])


def _cancel_group(task_id: int) -> None:
    """Cancel a task's whole tree."""
    row = task_row(task_id)
    while row["parent"] is not None:
        row = task_row(row["parent"])
    waiting = [row["id"]]
    while waiting:
        current = waiting.pop()
        _cancel(current, recurse=False)
        waiting.extend(child["id"] for child in database().all("SELECT id FROM tasks WHERE parent = ?", current))


def _assert_may_cancel(task_id: int) -> None:
    row = task_row(task_id)
    session = context.session
    host = hosts.host_of_user(session.user_id)
    runs_it = bool(host) and row["host_id"] == host and row["state"] == OPEN
    if session.user_id != row["owner"] and not runs_it and not session.hasPerm("admin"):
        raise koji.ActionNotAllowed("Cannot cancel task, not owner")


@call("cancelTask", used_by="the client; koji cancel")
def cancel_task(task_id: int, recurse: bool = True) -> None:
    """Cancel a task, as its owner, its host or an admin; ignore an ended one."""
    _assert_may_cancel(task_id)
    _cancel(task_id, recurse=recurse)


@call("cancelTaskChildren", used_by="the builder plugin; koji.tasks")
def cancel_task_children(task_id: int) -> None:
    """Cancel a task's subtasks."""
    require_login()
    _assert_may_cancel(task_id)
    _cancel_children(task_id)


@call("cancelTaskFull", used_by="koji cancel --full")
def cancel_task_full(task_id: int, strict: bool = True) -> None:
    """Cancel a task's whole tree."""
    require_permission("admin")
    parent = one_row(stored(task_id))["parent"]
    if strict and parent is not None:
        raise koji.GenericError(f"Task {task_id} is not top-level (parent={parent})")
    _cancel_group(task_id)


@call("cancelBuild", used_by="the builder plugin (an orphaned reservation); koji cancel")
def cancel_build(buildID: BuildLookup, strict: bool = False) -> bool:
    """Cancel a build, as its owner or an admin; return whether it was running."""
    require_login()
    build = known_build(buildID) if strict else build_row(buildID)
    if build is None:
        return False
    if build["owner_id"] != context.session.user_id and not context.session.hasPerm("admin"):
        raise koji.ActionNotAllowed("Cannot cancel build, not owner")
    if build["state"] != BUILDING:
        return False
    _cancel_row(build)
    if build["task_id"] is not None:
        _cancel_group(build["task_id"])
    return True


def _cancel_row(build: Row) -> None:
    database().update("builds", build["id"], state=BUILD_CANCELED, completion_time=time.time())
    database().execute("DELETE FROM reservations WHERE build_id = ?", build["id"])
