"""What ``container-status`` shows of a task: its tree, or its logs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import print_lines
from fedpkg_container.errors import RefusedError

if TYPE_CHECKING:
    from fedpkg_container.hub.events import Finished, TaskState
    from fedpkg_container.hub.logs import TaskLog


def show_task(client: Any, session: Any, task_id: int) -> Mapping[str, Any]:
    """Show a tree of tasks and how it ended, unless JSON is wanted; its facts."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.hosts import look
    from fedpkg_container.hub.logs import read_tree
    from fedpkg_container.hub.session import addresses
    from fedpkg_container.progress import report
    from fedpkg_container.progress.json_lines import no_builder_fields, task_fields

    tasks, logs = read_tree(session, task_id)
    finished = _end(session, tasks, logs)
    silent = look(session, tasks)
    facts: dict[str, Any] = {
        "tasks": [task_fields(task) for task in tasks],
        "no_builder": [no_builder_fields(event) for event in silent],
    }
    if finished is not None:
        facts["result"] = report.result_fields(finished)
    if client.args.json:
        return facts
    print_lines(*tree_lines(tasks))
    print_lines(*(f"task {event.task.id} still waits: {event.text}" for event in silent))
    if page := addresses(koji_profile(client)).task(task_id):
        print_lines(page)
    if finished is not None:
        print_lines(*_end_lines(finished))
    elif not tasks[0].ended:
        print_lines(f"watch it: {client.name} container-status --watch {task_id}")
    if logs:
        print_lines(f"its logs: {client.name} container-status {task_id} --logs")
    return facts


def _end(session: Any, tasks: Sequence[TaskState], logs: Sequence[TaskLog]) -> Finished | None:
    from fedpkg_container.hub.tasks import finished

    root = tasks[0]
    return finished(session, root, tasks, [(log.task.id, log.name) for log in logs]) if root.ended else None


def _end_lines(event: Finished) -> list[str]:
    from fedpkg_container.progress import report

    if event.task.state == "FAILED":
        return [report.failure_reason(event)]
    return list(report.success_lines(event)) if event.task.state == "CLOSED" else []


def tree_lines(tasks: Sequence[TaskState], *, indent: str = "", now: float | None = None) -> list[str]:
    """A line for each task of a tree."""
    from fedpkg_container.progress.plain import STATE_NAMES
    from fedpkg_container.text import format_duration

    moment = time.time() if now is None else now
    depths = {tasks[0].id: 0}
    for task in tasks[1:]:
        depths[task.id] = depths.get(task.parent or 0, 0) + 1
    lines = []
    for task in tasks:
        on = f" on {task.host}" if task.host else ""
        took = f", {format_duration((task.completed or moment) - task.started)}" if task.started is not None else ""
        lines.append(f"{indent}{'    ' * depths[task.id]}task {task.name}: {STATE_NAMES[task.state]}{on}{took}")
    return lines


def show_logs(client: Any, session: Any, task_id: int) -> int:
    """Write the logs of a task and of its children, and nothing else.

    :raises RefusedError: there are none (of this arch)
    """
    from fedpkg_container.hub.logs import last_lines, read_log, read_tree

    _, logs = read_tree(session, task_id)
    wanted = _chosen(logs, client.args.logs, task_id)
    for log in wanted:
        prefix = f"{log.task.label or 'build'} | " if len(wanted) > 1 else ""
        tail = client.args.tail
        for lines in read_log(session, log) if tail is None else [last_lines(session, log, tail)]:
            print_lines(*(f"{prefix}{line}" for line in lines))
    return 0


def _chosen(logs: Sequence[TaskLog], arch: str, task_id: int) -> list[TaskLog]:
    wanted = [log for log in logs if not arch or log.task.label == arch]
    if not wanted:
        known = sorted({log.task.label for log in logs if log.task.label})
        of_arch = f" of {arch}" if arch else ""
        solution = f"there are logs of {', '.join(known)}" if known else "they come when a builder has begun with it"
        raise RefusedError(f"task {task_id} has no logs{of_arch}", solution=solution)
    return wanted
