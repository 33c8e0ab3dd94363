# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about tasks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import koji
import koji.tasks
import koji.xmlrpcplus
from koji.context import context

from fedpkg_container.box.hub import policies
from fedpkg_container.box.hub.calls import listings
from fedpkg_container.box.hub.database import Row, marks, query_options, seconds, timestamp
from fedpkg_container.box.hub.dispatch import call, database, wake_builders
from fedpkg_container.box.hub.lookups import one_row, require_login, require_permission
from fedpkg_container.box.hub.parameters import Lookup, QueryOptions, TaskFilter

_LIST_COLUMNS = {"arch": "arch", "state": "state", "owner": "owner", "host_id": "host_id", "channel_id": "channel_id",
                 "parent": "parent"}  # fmt: skip
_TIMES = {"created": "create_time", "started": "start_time", "complete": "completion_time",
          "completed": "completion_time"}  # fmt: skip


@call("listTasks", used_by="the client; koji list-tasks, watch-task --mine, watch-logs --mine")
def list_tasks(opts: TaskFilter | None = None, queryOpts: QueryOptions | None = None) -> object:
    """Tasks by architecture, state, owner, host, channel, parent, method, times; ``decode`` parses their content."""
    opts = opts or {}
    clauses = ["1"]
    values: list[Any] = []
    for option, column in _LIST_COLUMNS.items():
        for key, negation in ((option, ""), (f"not_{option}", "NOT ")):
            if key not in opts:
                continue
            wanted = opts[key]
            if wanted is None:
                clauses.append(f"{column} IS {negation}NULL")
                continue
            wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
            clauses.append(f"{column} {negation}IN ({marks(wanted)})")
            values.extend(wanted)
    if "method" in opts:
        clauses.append("method = ?")
        values.append(opts["method"])
    for prefix, column in _TIMES.items():
        for suffix, comparison in (("Before", "<"), ("After", ">")):
            if opts.get(prefix + suffix) is not None:
                clauses.append(f"{column} {comparison} ?")
                values.append(seconds(opts[prefix + suffix]))
    rows = database().all(
        "SELECT tasks.*, users.name AS owner_name, users.usertype AS owner_type FROM tasks"
        f" JOIN users ON users.id = tasks.owner WHERE {' AND '.join(clauses)} ORDER BY tasks.id",
        *values,
    )
    return query_options([_listed(row, decode=bool(opts.get("decode"))) for row in rows], queryOpts)


def _listed(row: Row, *, decode: bool) -> Row:
    info = task_info(row)
    for key in ("request", "result"):
        info[key] = _decoded(row[key]) if decode and row[key] else row[key]
    return {**info, "owner_name": row["owner_name"], "owner_type": row["owner_type"]}


def _decoded(text: str) -> object:
    try:
        return koji.xmlrpcplus.loads(text)[0]
    except koji.xmlrpcplus.Fault as fault:
        return {"faultCode": fault.faultCode, "faultString": fault.faultString}


FREE, OPEN, CLOSED, CANCELED, ASSIGNED, FAILED = (
    koji.TASK_STATES[name] for name in ("FREE", "OPEN", "CLOSED", "CANCELED", "ASSIGNED", "FAILED")
)
ENDED = (CLOSED, CANCELED, FAILED)


def make_task(method: str, arglist: Sequence[Any], **opts: Any) -> int:
    """Create a task; plugins call it as ``kojihub.make_task``.

    Options: parent, label, owner, channel, arch, priority.
    """
    parent = database().one("SELECT * FROM tasks WHERE id = ?", opts["parent"]) if opts.get("parent") else None
    if opts.get("parent") and parent is None:
        raise koji.GenericError(f"Invalid parent task: {opts['parent']}")
    if parent is not None:
        if parent["state"] != OPEN:
            raise koji.GenericError(f"Parent task (id {parent['id']}) is not open")
        owner, arch, priority = parent["owner"], parent["arch"], parent["priority"] - 1
    else:
        if not context.session.logged_in:
            raise koji.GenericError("task must have an owner")
        owner, arch, priority = context.session.user_id, "noarch", koji.PRIO_DEFAULT
    arch = opts.get("arch") or arch
    known = {"method": method, "arch": arch, "parent": opts.get("parent"), "user_id": owner}
    wake_builders()
    return database().insert(
        "tasks",
        state=FREE,
        create_time=time.time(),
        channel_id=_channel_id(opts.get("channel"), {**known, **_task_data(method, arglist)}, parent),
        parent=parent and parent["id"],
        label=opts.get("label") if parent else None,
        owner=owner,
        method=method,
        arch=arch,
        priority=int(opts.get("priority", priority)),
        request=koji.xmlrpcplus.dumps(tuple(arglist), methodname=method, allow_none=1),
    )


def _channel_id(requested: str | None, data: Row, parent: Row | None) -> int:
    """Channel of a new task, set by the policy."""
    if requested:
        data["req_channel"] = _enabled_channel(requested)["name"]
    chosen = policies.channel_of(data)
    return int(parent["channel_id"] if parent and chosen is None else _enabled_channel(chosen or "default")["id"])


def _task_data(method: str, arglist: Sequence[object]) -> Row:
    """Data of a task for policies: its source, its target, and whether it is a scratch build."""
    try:
        arguments = koji.tasks.parse_task_params(method, arglist)
    except (TypeError, koji.ParameterError):  # a method without a signature
        return {}
    options = arguments.get("opts") or {}
    given = {"source": arguments.get("src"), "target": arguments.get("target"), "scratch": options.get("scratch")}
    return {key: value for key, value in given.items() if value}


def _enabled_channel(name: str) -> Row:
    channel = listings.get_channel(name)
    if channel is None:
        raise koji.GenericError(f"No such channel: {name}")
    if not channel["enabled"]:
        raise koji.GenericError(f"Channel {name} is disabled.")
    return channel


def stored(task_id: object) -> Row | None:
    """Stored row of a task, or None."""
    return database().one("SELECT * FROM tasks WHERE id = ?", task_id)


def task_row(task_id: object) -> Row:
    """The stored row of a task that must exist."""
    row = stored(task_id)
    if row is None:
        raise koji.GenericError(f"No such task: {task_id}")
    return row


def task_info(row: Row, *, request: bool = False) -> Row:
    """A task as in hub responses."""
    info = {
        "id": row["id"],
        "state": row["state"],
        "create_time": timestamp(row["create_time"]),
        "create_ts": row["create_time"],
        "start_time": timestamp(row["start_time"]),
        "start_ts": row["start_time"],
        "completion_time": timestamp(row["completion_time"]),
        "completion_ts": row["completion_time"],
        "channel_id": row["channel_id"],
        "host_id": row["host_id"],
        "parent": row["parent"],
        "label": row["label"],
        "waiting": None if row["waiting"] is None else bool(row["waiting"]),
        "awaited": None if row["awaited"] is None else bool(row["awaited"]),
        "owner": row["owner"],
        "method": row["method"],
        "arch": row["arch"],
        "priority": row["priority"],
        "weight": row["weight"],
    }
    if request:
        info["request"] = koji.xmlrpcplus.loads(row["request"])[0]
    return info


@call("getTaskInfo", used_by="the client; the builder plugin; koji.daemon.TaskManager; koji taskinfo, watch-task")
def get_task_info(task_id: int | list[int], request: bool = False, strict: bool = False) -> object:
    """A task, or a list of tasks with None for missing ones."""
    infos: list[Row | None] = []
    for each in task_id if isinstance(task_id, list) else [task_id]:
        row = stored(each)
        if strict:
            row = one_row(row)
        infos.append(task_info(row, request=request) if row else None)
    return infos if isinstance(task_id, list) else infos[0]


@call("getTaskRequest", used_by="koji taskinfo")
def get_task_request(taskId: int) -> Any:
    """Arguments of a task."""
    return koji.xmlrpcplus.loads(one_row(stored(taskId))["request"])[0]


@call("getTaskChildren", used_by="the builder plugin; koji taskinfo, watch-task, watch-logs")
def get_task_children(task_id: int, request: bool = False, strict: bool = False) -> list[Row]:
    """Direct children of a task."""
    if strict:
        get_task_info(task_id, strict=True)
    return [
        task_info(row, request=request)
        for row in database().all("SELECT * FROM tasks WHERE parent = ? ORDER BY id", task_id)
    ]


@call("getTaskDescendents", used_by="the client")
def get_task_descendents(task_id: int, request: bool = False) -> dict[str, list[Row]]:
    """Children by parent ID (as text), for a task and all its descendants."""
    tree: dict[str, list[Row]] = {}
    waiting = [task_id]
    while waiting:
        current = waiting.pop()
        children = get_task_children(current, request=request)
        tree[str(current)] = children
        waiting.extend(child["id"] for child in children)
    return tree


@call("taskFinished", used_by="koji.tasks (a task that waits)")
def task_finished(taskId: int) -> bool:
    """Whether a task has ended, in any state."""
    return one_row(stored(taskId))["state"] in ENDED


@call("getTaskResult", used_by="the client; the box's demo; koji watch-task")
def get_task_result(taskId: int, raise_fault: bool = True) -> object:
    """Result of a task; if it failed, its fault, raised or as a dictionary."""
    row = stored(taskId)
    if row is None:
        raise koji.GenericError("No such task")
    if row["state"] == CANCELED:
        raise koji.GenericError(f"Task {taskId} is canceled")
    if row["state"] not in ENDED:
        raise koji.GenericError(f"Task {taskId} is not finished")
    try:
        return koji.xmlrpcplus.loads(row["result"])[0][0]
    except koji.xmlrpcplus.Fault as fault:
        if raise_fault:
            raise
        return {"faultCode": fault.faultCode, "faultString": fault.faultString}


@call("resubmitTask", used_by="koji resubmit")
def resubmit_task(taskID: int) -> int:
    """Create a task like one that failed or was canceled; return its ID."""
    require_login()
    row = task_row(taskID)
    if row["state"] not in (CANCELED, FAILED):
        raise koji.GenericError("only canceled or failed tasks may be resubmitted")
    if row["parent"] is not None:
        raise koji.GenericError("only top-level tasks may be resubmitted")
    if context.session.user_id != row["owner"] and not context.session.hasPerm("admin"):
        raise koji.GenericError("only the task owner or an admin may resubmit a task")
    request, _ = koji.xmlrpcplus.loads(row["request"])
    channel = one_row(listings.get_channel(row["channel_id"]))["name"]
    return make_task(row["method"], request, arch=row["arch"], channel=channel, priority=row["priority"])


@call("setTaskPriority", used_by="koji set-task-priority")
def set_task_priority(task_id: int, priority: int, recurse: bool = True) -> None:
    """Set the priority of a task, and with ``recurse`` that of its descendants."""
    require_permission("admin")
    row = task_row(task_id)
    if row["state"] in ENDED:
        raise koji.GenericError("Finished task's priority can't be updated")
    waiting = [row["id"]]
    while waiting:
        current = waiting.pop()
        database().update("tasks", current, priority=priority)
        children = database().all("SELECT id FROM tasks WHERE parent = ?", current) if recurse else []
        waiting.extend(child["id"] for child in children)


@call("freeTask", used_by="koji free-task")
def free_task(task_id: int) -> None:
    """Free a task from its host, so that any host may run it."""
    require_permission("admin")
    free(task_id)


def free(task_id: int) -> None:
    """Free a task again."""
    row = one_row(stored(task_id))
    if row["state"] in ENDED:
        raise koji.GenericError(f"Cannot free task {task_id}, state is {koji.TASK_STATES[row['state']]}")
    database().update("tasks", row["id"], state=FREE, host_id=None)
    wake_builders()


def may_take(row: Row, host_id: int) -> bool:
    """Whether a task is free or assigned to this host."""
    return bool(row["state"] == FREE or (row["state"] == ASSIGNED and row["host_id"] == host_id))


@call("assignTask", used_by="koji assign-task")
def assign_task(task_id: int, host: Lookup, force: bool = False, override: bool = False) -> bool:
    """Assign a task to a host; return whether it was available. Only ``force`` reassigns one."""
    host_row = listings.known_host(host)
    require_permission("admin")
    row = one_row(stored(task_id))
    if not force and not may_take(row, host_row["id"]):
        return False
    database().update("tasks", row["id"], state=ASSIGNED, host_id=host_row["id"])
    wake_builders()
    return True


def close(task_id: int, result: str, state: int) -> None:
    """End a task with a result."""
    database().update("tasks", task_id, state=state, result=result, completion_time=time.time())
    wake_builders()
