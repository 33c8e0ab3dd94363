"""Tasks: making, reading, canceling; and the rules of their states."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import koji
import koji.xmlrpcplus
from koji.context import context

from fedpkg_container.box.hub.calls import inventory
from fedpkg_container.box.hub.database import Row, marks, query_options, timestamp
from fedpkg_container.box.hub.dispatch import call, database, require_login, require_permission

FREE, OPEN, CLOSED, CANCELED, ASSIGNED, FAILED = (
    koji.TASK_STATES[name] for name in ("FREE", "OPEN", "CLOSED", "CANCELED", "ASSIGNED", "FAILED")
)
ENDED = (CLOSED, CANCELED, FAILED)


def make_task(method: str, arglist: Sequence[Any], **opts: Any) -> int:
    """Create a task; what plugins call as ``kojihub.make_task``.

    Options: parent, label, owner, channel, arch, priority.
    """
    channel = opts.get("channel")
    parent = database().one("SELECT * FROM tasks WHERE id = ?", opts["parent"]) if opts.get("parent") else None
    if opts.get("parent") and parent is None:
        raise koji.GenericError(f"Invalid parent task: {opts['parent']}")
    if parent is not None:
        if parent["state"] != OPEN:
            raise koji.GenericError(f"Parent task (id {parent['id']}) is not open")
        channel_id = parent["channel_id"]
        owner, arch, priority = parent["owner"], parent["arch"], parent["priority"] - 1
    else:
        if not context.session.logged_in:
            raise koji.GenericError("task must have an owner")
        channel_id = inventory.known_channel("default")["id"]
        owner, arch, priority = context.session.user_id, "noarch", koji.PRIO_DEFAULT
    if channel:
        channel_id = _enabled_channel(channel)["id"]
    return database().insert(
        "tasks",
        state=FREE,
        create_time=time.time(),
        channel_id=channel_id,
        parent=parent and parent["id"],
        label=opts.get("label") if parent else None,
        owner=owner,
        method=method,
        arch=opts.get("arch") or arch,
        priority=int(opts.get("priority", priority)),
        request=koji.xmlrpcplus.dumps(tuple(arglist), methodname=method, allow_none=1),
    )


def _enabled_channel(name: str) -> Row:
    channel = inventory.get_channel(name)
    if channel is None:
        raise koji.GenericError(f"No such channel: {name}")
    if not channel["enabled"]:
        raise koji.GenericError(f"Channel {name} is disabled.")
    return channel


def task_row(task_id: int) -> Row:
    """The stored row of a task that must exist."""
    row = database().one("SELECT * FROM tasks WHERE id = ?", int(task_id))
    if row is None:
        raise koji.GenericError(f"No such task: {task_id}")
    return row


def task_info(row: Row, *, request: bool = False) -> Row:
    """A task as the hub shows it."""
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


@call("getTaskInfo", used_by="the client; koji taskinfo, watch-task; koji.daemon.TaskManager")
def get_task_info(task_id: Any, request: bool = False, strict: bool = False) -> Any:
    """A task, or a list of them with None for each that is not there."""
    many = isinstance(task_id, (list, tuple))
    found: list[Row | None] = []
    for each in task_id if many else [task_id]:
        row = database().one("SELECT * FROM tasks WHERE id = ?", _task_id(each))
        if row is None and strict:
            raise koji.GenericError("query returned no rows")
        found.append(task_info(row, request=request) if row else None)
    return found if many else found[0]


def _task_id(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise koji.ParameterError(f"Invalid type for value '{value}': {type(value)}, expected type {int}") from None


@call("getTaskRequest", used_by="koji taskinfo")
def get_task_request(taskId: int) -> Any:
    """The arguments of a task."""
    return koji.xmlrpcplus.loads(task_row(taskId)["request"])[0]


@call("getTaskChildren", used_by="the client; koji watch-task, taskinfo")
def get_task_children(task_id: int, request: bool = False, strict: bool = False) -> list[Row]:
    """The direct children of a task."""
    if strict:
        get_task_info(task_id, strict=True)
    return [
        task_info(row, request=request)
        for row in database().all("SELECT * FROM tasks WHERE parent = ? ORDER BY id", _task_id(task_id))
    ]


@call("getTaskDescendents", used_by="the client; koji watch-task")
def get_task_descendents(task_id: int, request: bool = False) -> dict[str, list[Row]]:
    """Children by the id (as text) of their parent, for a task and everything below it."""
    tree: dict[str, list[Row]] = {}
    waiting = [_task_id(task_id)]
    while waiting:
        current = waiting.pop()
        children = get_task_children(current, request=request)
        tree[str(current)] = children
        waiting.extend(child["id"] for child in children)
    return tree


@call("getTaskResult", used_by="the client; koji watch-task")
def get_task_result(taskId: int, raise_fault: bool = True) -> Any:
    """What a task answered; for a failed one its fault, raised or as a dictionary."""
    row = database().one("SELECT * FROM tasks WHERE id = ?", _task_id(taskId))
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


_LIST_COLUMNS = {"arch": "arch", "state": "state", "owner": "owner", "host_id": "host_id", "channel_id": "channel_id",
                 "parent": "parent"}  # fmt: skip
_TIMES = {"created": "create_time", "started": "start_time", "complete": "completion_time", "completed": "completion_time"}


@call("listTasks", used_by="the client (after a lost reply); koji list-tasks, hostinfo")
def list_tasks(opts: Row | None = None, queryOpts: Row | None = None) -> Any:
    """Tasks by arch, state, owner, host, channel, parent, method and times; ``decode`` unpacks request and result."""
    opts = opts or {}
    clauses, values = ["1"], []
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
                values.append(_seconds(opts[prefix + suffix]))
    rows = database().all(
        "SELECT tasks.*, users.name AS owner_name, users.usertype AS owner_type FROM tasks"
        f" JOIN users ON users.id = tasks.owner WHERE {' AND '.join(clauses)} ORDER BY tasks.id",
        *values,
    )
    return query_options([_listed(row, decode=bool(opts.get("decode"))) for row in rows], queryOpts)


def _seconds(value: Any) -> float:
    from dateutil import parser

    return float(value) if isinstance(value, (int, float)) else parser.parse(value).timestamp()


def _listed(row: Row, *, decode: bool) -> Row:
    info = task_info(row)
    for key in ("request", "result"):
        info[key] = _decoded(row[key]) if decode and row[key] else row[key]
    return {**info, "owner_name": row["owner_name"], "owner_type": row["owner_type"]}


def _decoded(text: str) -> Any:
    try:
        return koji.xmlrpcplus.loads(text)[0]
    except koji.xmlrpcplus.Fault as fault:
        return {"faultCode": fault.faultCode, "faultString": fault.faultString}


def cancel(task_id: int, *, recurse: bool = True) -> None:
    """Cancel a task that has not ended, the build that it owns, and what is below it."""
    from fedpkg_container.box.hub.calls.builds import cancel_build_row

    row = task_row(task_id)
    if row["state"] in ENDED:
        return
    database().update("tasks", row["id"], state=CANCELED, completion_time=time.time())
    building = koji.BUILD_STATES["BUILDING"]
    for build in database().all("SELECT id FROM builds WHERE task_id = ? AND state = ?", row["id"], building):
        cancel_build_row(build["id"], cancel_task=False)
    if recurse:
        cancel_children(task_id)


def cancel_children(task_id: int) -> None:
    """Cancel everything below a task."""
    for child in database().all("SELECT id FROM tasks WHERE parent = ?", task_id):
        cancel(child["id"])


def cancel_group(task_id: int) -> None:
    """Cancel the whole tree that a task belongs to."""
    row = task_row(task_id)
    while row["parent"] is not None:
        row = task_row(row["parent"])
    waiting = [row["id"]]
    while waiting:
        current = waiting.pop()
        cancel(current, recurse=False)
        waiting.extend(child["id"] for child in database().all("SELECT id FROM tasks WHERE parent = ?", current))


def _assert_may_cancel(task_id: int) -> None:
    row = task_row(task_id)
    session = context.session
    from fedpkg_container.box.hub.calls.hosts import host_of_user

    host = host_of_user(session.user_id)
    runs_it = bool(host) and row["host_id"] == host and row["state"] == OPEN
    if session.user_id != row["owner"] and not runs_it and not session.hasPerm("admin"):
        raise koji.ActionNotAllowed("Cannot cancel task, not owner")


@call("cancelTask", used_by="the client; koji cancel")
def cancel_task(task_id: int, recurse: bool = True) -> None:
    """Cancel a task, by its owner, its host or an admin; nothing happens to one that has ended."""
    _assert_may_cancel(task_id)
    cancel(task_id, recurse=recurse)


@call("cancelTaskChildren", used_by="koji.tasks; the builder plugin")
def cancel_task_children(task_id: int) -> None:
    """Cancel what is below a task."""
    require_login()
    _assert_may_cancel(task_id)
    cancel_children(task_id)


@call("cancelTaskFull", used_by="koji cancel --full")
def cancel_task_full(task_id: int, strict: bool = True) -> None:
    """Cancel the whole group of a task."""
    require_permission("admin")
    if strict and task_row(task_id)["parent"] is not None:
        raise koji.GenericError(f"Task {task_id} is not top-level (parent={task_row(task_id)['parent']})")
    cancel_group(task_id)


@call("freeTask", used_by="koji free-task")
def free_task(task_id: int) -> None:
    """Take a task from its host, so that any host may run it."""
    require_permission("admin")
    free(task_id)


def free(task_id: int) -> None:
    """Make a task free again."""
    row = task_row(task_id)
    if row["state"] in ENDED:
        raise koji.GenericError(f"Cannot free task {task_id}, state is {koji.TASK_STATES[row['state']]}")
    database().update("tasks", row["id"], state=FREE, host_id=None)


@call("assignTask", used_by="koji assign-task; contract tests")
def assign_task(task_id: int, host: Any, force: bool = False, override: bool = False) -> bool:
    """Give a free task to a host."""
    require_permission("admin")
    row = task_row(task_id)
    host_row = inventory.known_host(host)
    if row["state"] != FREE and not override:
        raise koji.GenericError(f"Task {task_id} is not free")
    database().update("tasks", row["id"], state=ASSIGNED, host_id=host_row["id"])
    return True


def close(task_id: int, result: str, state: int) -> None:
    """End a task with its result."""
    database().update("tasks", task_id, state=state, result=result, completion_time=time.time())
