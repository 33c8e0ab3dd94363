# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls by and about builders, and assignment of tasks."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import koji
import koji.xmlrpcplus
from koji.context import context

from fedpkg_container.box.hub.calls import listings
from fedpkg_container.box.hub.calls import tasks as task_calls
from fedpkg_container.box.hub.calls.tasks import ASSIGNED, ENDED, FREE, OPEN
from fedpkg_container.box.hub.database import Row, marks
from fedpkg_container.box.hub.dispatch import UNREADABLE, call, database, wake_builders
from fedpkg_container.box.hub.kinds import shown
from fedpkg_container.box.hub.lookups import one_row
from fedpkg_container.box.hub.parameters import Anything, Content, HostData, SubtaskOptions, assert_plain

#: Seconds until a host that refused a task may get it again.
REFUSAL_LIFETIME = 15 * 60
#: Seconds since its last update for which a host counts as alive; builders of a box poll every two seconds at least.
FRESH = 5.0


@dataclass
class _Candidate:
    """A host that polls for tasks, and its state.

    :param waits: an assigned task is neither opened nor refused yet: no more are assigned until then
    """

    id: int
    capacity: float
    arches: frozenset[str]
    channels: frozenset[int]
    load: float
    tasks: int
    waits: bool

    def takes(self, task: Row) -> bool:
        """Whether it can run a task; architectures are compared literally, those of tasks are canonical."""
        fits = task["channel_id"] in self.channels and task["arch"] in self.arches
        return fits and not self.waits and self.load < self.capacity


def assign(host: Row) -> None:
    """Assign free tasks after a poll by a host."""
    if not host["enabled"] or not host["ready"]:
        return
    candidates = _candidates(host["id"])
    refused = _refused()
    for task in database().all("SELECT * FROM tasks WHERE state = ? ORDER BY priority, create_time", FREE):
        able = [each for each in candidates if each.takes(task) and (task["id"], each.id) not in refused]
        if not able:
            continue
        chosen = min(able, key=lambda each: (each.load + each.tasks, each.id != host["id"]))
        chosen.load += task["weight"]
        chosen.tasks += 1
        if chosen.id == host["id"]:
            database().update("tasks", task["id"], state=ASSIGNED, host_id=host["id"])


def _candidates(asking: int) -> list[_Candidate]:
    """The polling host, and all others that polled recently."""
    rows = database().all(
        "SELECT * FROM hosts WHERE enabled AND ready AND (id = ? OR update_time > ?)", asking, time.time() - FRESH
    )
    return [_candidate(row) for row in rows]


def _candidate(row: Row) -> _Candidate:
    host_tasks = database().all("SELECT * FROM tasks WHERE host_id = ? AND state IN (?, ?)", row["id"], ASSIGNED, OPEN)
    channels = database().all("SELECT channel_id FROM host_channels WHERE host_id = ?", row["id"])
    return _Candidate(
        id=row["id"],
        capacity=row["capacity"],
        arches=frozenset({*row["arches"].split(), "noarch"}),
        channels=frozenset(each["channel_id"] for each in channels),
        load=sum(each["weight"] for each in host_tasks if not each["waiting"]),
        tasks=len(host_tasks),
        waits=any(each["state"] == ASSIGNED for each in host_tasks),
    )


def _refused() -> set[tuple[int, int]]:
    """Tasks and the hosts that refused them."""
    rows = database().all(
        "SELECT task_id, host_id FROM refusals WHERE NOT soft OR time > ?", time.time() - REFUSAL_LIFETIME
    )
    return {(row["task_id"], row["host_id"]) for row in rows}


def host_of_user(user_id: int | None) -> int | None:
    """ID of the host whose user this is, or None."""
    host_id: int | None = database().value("SELECT id FROM hosts WHERE user_id = ?", user_id)
    return host_id


def calling_host() -> Row:
    """The calling host, which must hold its exclusive session."""
    session = context.session
    host_id = host_of_user(session.user_id)
    if host_id is None:
        raise koji.AuthError(f"User {session.user_id} is not a host" if session.logged_in else "Not logged-in")
    if not session.exclusive:
        raise koji.AuthError("This method requires an exclusive session")
    return listings.known_host(host_id)


def assert_task_of_host(task_id: int, host_id: int) -> Row:
    """A task, which must be open on this host."""
    row = task_calls.task_row(task_id)
    if row["state"] != OPEN or row["host_id"] != host_id:
        raise koji.ActionNotAllowed(f"host {host_id} does not own task {task_id}")
    return row


def own_task(task_id: int) -> Row:
    """A task, which must be open on the calling host."""
    return assert_task_of_host(task_id, calling_host()["id"])


@call("host.getID", used_by="koji.daemon.TaskManager")
def get_id() -> int:
    """ID of the calling host."""
    return int(calling_host()["id"])


@call("host.getHost", used_by="koji.daemon.TaskManager")
def get_host() -> Row:
    """The calling host."""
    return calling_host()


@call("host.updateHost", used_by="koji.daemon.TaskManager")
def update_host(task_load: float, ready: bool, data: HostData | None = None) -> None:
    """Update time, load and readiness of the calling host, and its data if given."""
    host = calling_host()
    if data is not None and not isinstance(data, dict):
        raise koji.ParameterError("Host data should be a dictionary")
    values: Row = {"task_load": float(task_load), "ready": int(bool(ready)), "update_time": time.time()}
    if data is not None:
        values["data"] = json.dumps(data)
    database().update("hosts", host["id"], **values)


@call("host.getTasks", used_by="koji.daemon.TaskManager")
def get_tasks() -> list[Row]:
    """Tasks assigned to the calling host; first, assign free tasks that it can run."""
    host = calling_host()
    assign(host)
    rows = database().all(
        "SELECT * FROM tasks WHERE host_id = ? AND state = ? ORDER BY priority, create_time", host["id"], ASSIGNED
    )
    wanted = ("id", "state", "arch", "method", "channel_id", "host_id", "priority")
    return [{key: row[key] for key in wanted} | {"create_ts": row["create_time"]} for row in rows]


@call("host.getHostTasks", used_by="koji.daemon.TaskManager")
def get_host_tasks() -> list[Row]:
    """Open tasks of the calling host; ``alert`` marks a waiting one with an ended child."""
    host = calling_host()
    tasks = []
    for row in database().all("SELECT * FROM tasks WHERE host_id = ? AND state = ?", host["id"], OPEN):
        waiting = None if row["waiting"] is None else bool(row["waiting"])
        task = {"id": row["id"], "waiting": waiting, "weight": row["weight"]}
        if waiting and _awaited(row["id"])[0]:
            task["alert"] = True
        tasks.append(task)
    return tasks


@call("host.openTask", used_by="koji.daemon.TaskManager")
def open_task(task_id: int) -> Row | None:
    """Open a task; None if unavailable."""
    host = calling_host()
    row = one_row(task_calls.stored(task_id))
    if not task_calls.may_take(row, host["id"]):
        return None
    database().update("tasks", row["id"], state=OPEN, host_id=host["id"], start_time=time.time())
    opened = task_calls.task_row(task_id)
    return {**task_calls.task_info(opened), "request": opened["request"]}


def _checked(response: str) -> str:
    """A response that all readers of the result can parse."""
    try:
        parameters, _ = koji.xmlrpcplus.loads(response)
    except koji.xmlrpcplus.Fault:
        return response
    except UNREADABLE as error:
        raise koji.GenericError(f"Invalid response of a task: {error}") from error
    if len(parameters) != 1:
        raise koji.GenericError(f"Invalid response of a task: {len(parameters)} values")
    assert_plain(parameters)
    return response


@call("host.closeTask", used_by="koji.daemon.TaskManager")
def close_task(task_id: int, response: Content) -> None:
    """Complete a task."""
    own_task(task_id)
    task_calls.close(task_id, _checked(response), task_calls.CLOSED)


@call("host.failTask", used_by="koji.daemon.TaskManager")
def fail_task(task_id: int, response: Content) -> None:
    """Fail a task."""
    own_task(task_id)
    task_calls.close(task_id, _checked(response), task_calls.FAILED)


@call("host.freeTasks", used_by="the builder plugin; koji.daemon.TaskManager")
def free_tasks(tasks: list[int]) -> None:
    """Free tasks; skip those of other hosts."""
    host = calling_host()
    for task_id in tasks:
        row = task_calls.task_row(task_id)
        if row["state"] == OPEN and row["host_id"] == host["id"]:
            task_calls.free(task_id)


@call("host.refuseTask", used_by="koji.daemon.TaskManager")
def refuse_task(task_id: int, soft: bool = True, msg: str = "") -> None:
    """Refuse a task assigned to the calling host."""
    host = calling_host()
    row = one_row(task_calls.stored(task_id))
    if row["host_id"] != host["id"]:
        return
    database().execute(
        "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?)", task_id, host["id"], int(soft), str(msg), time.time()
    )
    task_calls.free(task_id)


@call("host.setTaskWeight", used_by="koji.daemon.TaskManager")
def set_task_weight(task_id: int, weight: float) -> None:
    """Set the host capacity that a task uses."""
    own_task(task_id)
    database().update("tasks", task_id, weight=float(weight))


@call("host.subtask", used_by="the builder plugin; koji.tasks")
def subtask(method: str, arglist: list[Anything], parent: int, **opts: SubtaskOptions) -> int:
    """Create a child of a task of the calling host, or return the one with the same label."""
    own_task(parent)
    if "owner" in opts:
        raise koji.ActionNotAllowed("The owner option is not allowed here")
    if "label" in opts:
        existing = database().value("SELECT id FROM tasks WHERE parent = ? AND label = ?", parent, opts["label"])
        if existing:
            return int(existing)
    if "kwargs" in opts:
        arglist = koji.encode_args(*arglist, **opts.pop("kwargs"))
    return task_calls.make_task(method, arglist, parent=parent, **opts)


@call("host.subtask2", used_by="koji.tasks")
def subtask2(parent: int, taskopts: SubtaskOptions, method: str, *args: Anything, **opts: Anything) -> int:
    """``host.subtask`` with the arguments in the method's order."""
    if unknown := sorted(set(taskopts) - {"label", "channel", "arch", "priority", "owner"}):
        raise koji.ParameterError(f"Invalid task options: {', '.join(map(shown, unknown))}")
    return subtask(method, koji.encode_args(*args, **opts), parent, **taskopts)


@call("host.taskSetWait", used_by="koji.tasks")
def task_set_wait(parent: int, tasks: list[int] | None) -> None:
    """Make a task wait for these children, or all."""
    calling_host()
    database().update("tasks", parent, waiting=1)
    wake_builders()  # a waiting task uses no capacity
    if tasks is None:
        database().execute("UPDATE tasks SET awaited = 1 WHERE parent = ?", parent)
        return
    chosen = f"id IN ({marks(tasks)})"
    database().execute(f"UPDATE tasks SET awaited = 1 WHERE parent = ? AND {chosen}", parent, *tasks)
    database().execute(f"UPDATE tasks SET awaited = 0 WHERE parent = ? AND awaited AND NOT {chosen}", parent, *tasks)


def _awaited(parent: int) -> tuple[list[int], list[int]]:
    rows = database().all("SELECT id, state FROM tasks WHERE parent = ? AND awaited ORDER BY id", parent)
    ended = [row["id"] for row in rows if row["state"] in ENDED]
    return ended, [row["id"] for row in rows if row["state"] not in ENDED]


@call("host.taskWait", used_by="koji.tasks")
def task_wait(parent: int) -> list[list[int]]:
    """Awaited children, ended and not; stop waiting for the ended ones."""
    calling_host()
    ended, running = _awaited(parent)
    for task_id in ended:
        database().update("tasks", task_id, awaited=0)
    return [ended, running]


@call("host.taskWaitResults", used_by="koji.tasks")
def task_wait_results(parent: int, tasks: list[int] | None, canfail: list[int] | None = None) -> list[list[object]]:
    """Results of children, as pairs of ID and result; ends the waiting."""
    calling_host()
    database().update("tasks", parent, waiting=0)
    database().execute("UPDATE tasks SET awaited = 0 WHERE parent = ?", parent)
    if tasks is None:
        rows = database().all(f"SELECT id FROM tasks WHERE parent = ? AND state IN ({marks(ENDED)})", parent, *ENDED)
        tasks = [row["id"] for row in rows]
    return [[task_id, _result(task_id, may_fail=task_id in (canfail or []))] for task_id in tasks]


def _result(task_id: int, *, may_fail: bool) -> Any:
    try:
        return task_calls.get_task_result(task_id, raise_fault=not may_fail)
    except koji.GenericError as error:
        if may_fail and task_calls.task_row(task_id)["state"] == task_calls.CANCELED:
            return {"faultCode": error.faultCode, "faultString": str(error)}
        raise
