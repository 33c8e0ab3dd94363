# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of ``container-status`` for a task: its task tree or its logs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import print_lines
from fedpkg_container.errors import RefusedError

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.hub.events import Finished, TaskState
    from fedpkg_container.hub.logs import TaskLog
    from fedpkg_container.hub.protocol import HubSession


def show_task(client: Client, session: HubSession, task_id: int) -> Mapping[str, object]:
    """Print a task tree and its result, unless ``--json`` is set, and return the fields."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.hosts import check_waiting_tasks
    from fedpkg_container.hub.logs import read_tree, waiting_reasons
    from fedpkg_container.hub.session import site_urls
    from fedpkg_container.progress import report
    from fedpkg_container.progress.json_lines import no_builder_fields, task_fields

    tasks, logs = read_tree(session, task_id)
    outcome = _result(session, tasks, logs)
    no_builder = check_waiting_tasks(session, tasks)
    waiting = waiting_reasons(session, logs)
    fields: dict[str, Any] = {
        "tasks": [task_fields(task) for task in tasks],
        "no_builder": [no_builder_fields(event) for event in no_builder],
        "waiting": [{"task": task.id, "reason": reason} for task, reason in waiting],
    }
    if outcome is not None:
        fields["result"] = report.result_fields(outcome)
    if client.args.json:
        return fields
    print_lines(*tree_lines(tasks))
    print_lines(*(f"task {event.task.id} is still waiting: {event.text}" for event in no_builder))
    print_lines(*(f"task {task.id} is waiting for its pod: {reason}" for task, reason in waiting))
    if page := site_urls(koji_profile(client)).task(task_id):
        print_lines(page)
    if outcome is not None:
        print_lines(*_result_lines(outcome))
    elif not tasks[0].ended:
        print_lines(f"watch it: {client.name} container-status --watch {task_id}")
    if logs:
        print_lines(f"logs: {client.name} container-status {task_id} --logs")
    return fields


def _result(session: HubSession, tasks: Sequence[TaskState], logs: Sequence[TaskLog]) -> Finished | None:
    from fedpkg_container.hub.tasks import read_outcome

    root = tasks[0]
    return read_outcome(session, root, tasks, [(log.task.id, log.name) for log in logs]) if root.ended else None


def _result_lines(event: Finished) -> list[str]:
    from fedpkg_container.progress import report

    if event.task.state == "FAILED":
        return [report.failure_reason(event)]
    return list(report.success_lines(event)) if event.task.state == "CLOSED" else []


def tree_lines(tasks: Sequence[TaskState], *, indent: str = "", now: float | None = None) -> list[str]:
    """Return one line per task of a tree, indented by its depth."""
    from fedpkg_container.progress.plain import state_text
    from fedpkg_container.text import format_duration

    current_time = time.time() if now is None else now
    depths = {tasks[0].id: 0}
    for task in tasks[1:]:
        depths[task.id] = depths.get(task.parent or 0, 0) + 1
    lines = []
    for task in tasks:
        took = (
            f", {format_duration((task.completed or current_time) - task.started)}" if task.started is not None else ""
        )
        lines.append(f"{indent}{'    ' * depths[task.id]}task {task.name}: {state_text(task.state, task.host)}{took}")
    return lines


def show_logs(client: Client, session: HubSession, task_id: int) -> int:
    """Print the logs of a task and of its children only.

    :raises RefusedError: if there are no logs (of the architecture)
    """
    from fedpkg_container.hub.logs import last_lines, read_log, read_tree
    from fedpkg_container.progress.plain import ROOT_LABEL

    _, logs = read_tree(session, task_id)
    selected = _select_logs(logs, client.args.logs, task_id)
    for log in selected:
        prefix = f"{log.task.label or ROOT_LABEL} | " if len(selected) > 1 else ""
        tail = client.args.tail
        for lines in read_log(session, log) if tail is None else [last_lines(session, log, tail)]:
            print_lines(*(f"{prefix}{line}" for line in lines))
    return 0


def _select_logs(logs: Sequence[TaskLog], arch: str, task_id: int) -> list[TaskLog]:
    """Return the logs of an architecture, or of the task itself (``build``, as in the prefix of its lines)."""
    from fedpkg_container.progress.plain import ROOT_LABEL

    selected = [log for log in logs if not arch or arch == (log.task.label or ROOT_LABEL)]
    if not selected:
        arches = sorted({log.task.label or ROOT_LABEL for log in logs})
        for_arch = f" for {arch}" if arch else ""
        available = f"available: {', '.join(arches)}" if arches else "logs are created when a builder starts the task"
        raise RefusedError(f"task {task_id} has no logs{for_arch}", solution=available)
    return selected
