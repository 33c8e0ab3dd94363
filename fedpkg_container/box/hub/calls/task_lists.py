"""Lists of tasks: how a lost answer to a submission is looked for, and what koji list-tasks shows."""

from __future__ import annotations

from typing import Any

import koji.xmlrpcplus

from fedpkg_container.box.hub.calls.tasks import task_info
from fedpkg_container.box.hub.database import Row, marks, query_options, seconds
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.parameters import QueryOptions, TaskFilter

_LIST_COLUMNS = {"arch": "arch", "state": "state", "owner": "owner", "host_id": "host_id", "channel_id": "channel_id",
                 "parent": "parent"}  # fmt: skip
_TIMES = {"created": "create_time", "started": "start_time", "complete": "completion_time",
          "completed": "completion_time"}  # fmt: skip


@call("listTasks", used_by="the client (after a lost reply); koji list-tasks, watch-task --mine, watch-logs --mine")
def list_tasks(opts: TaskFilter | None = None, queryOpts: QueryOptions | None = None) -> Any:
    """Tasks by arch, state, owner, host, channel, parent, method and times; ``decode`` unpacks request and result."""
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


def _decoded(text: str) -> Any:
    try:
        return koji.xmlrpcplus.loads(text)[0]
    except koji.xmlrpcplus.Fault as fault:
        return {"faultCode": fault.faultCode, "faultString": fault.faultString}
