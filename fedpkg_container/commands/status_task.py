# SPDX-License-Identifier: GPL-2.0-or-later
"""Views of ``container-status`` of a task: what it builds, its state, why it waits, its result, and its logs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fedpkg_container.commands import status_fields
from fedpkg_container.commands.status_view import View
from fedpkg_container.commands.terminal import print_lines
from fedpkg_container.errors import RefusedError

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.hub.events import TaskState
    from fedpkg_container.hub.logs import TaskLog
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.hub.requested_builds import RequestedBuild
    from fedpkg_container.hub.task_report import TaskReport
    from fedpkg_container.hub.waiting import Builder, Repository
    from fedpkg_container.progress.look import Page, Row


def task_view(client: Client, report: TaskReport, note: str = "") -> View:
    """Return the view of a task.

    :param note: a line to add to the text; empty for none
    """
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import site_urls

    fields = status_fields.task(report, site_urls(koji_profile(client)))
    entry = {name: fields[name] for name in status_fields.ENTRY_FIELDS}

    def lines(page: Page) -> list[str]:
        from fedpkg_container.progress.look import Cell, Row

        notes = page.lines([Row((Cell(note),))] if note else [])
        return [*_lines(page, report, str(fields["url"] or ""), client.name), *notes]

    return View(fields, [entry], lines)


def _lines(page: Page, report: TaskReport, url: str, client: str) -> Iterator[str]:
    """Yield the text about a task: what it builds and its state, its subtasks and why they wait, then the details."""
    from fedpkg_container.commands.status_lists import elapsed, tree_rows
    from fedpkg_container.hub.requested_builds import METHOD
    from fedpkg_container.progress import look

    build, root = report.build, report.build.root
    what = f"{build.kind} of {build.repository}" if build.source and root.method == METHOD else root.name
    head = (look.Cell(what, "strong"), look.state_cell(root.state, look.task_text(root)), look.Cell(elapsed(root)))
    yield from page.lines([look.Row((*head, look.Cell(f"task {root.id}", "dim")), state=root.state)])
    yield from page.table(tree_rows(build, indent=2))
    yield from _result_lines(page, report)
    if builders := list(dict.fromkeys(builder for waiting in build.waiting for builder in waiting.builders)):
        channels = ", ".join(dict.fromkeys(waiting.channel for waiting in build.waiting if waiting.channel))
        yield from ("", *page.lines([look.Row((look.Cell(f"builders of channel {channels}", "strong"),))]))
        yield from page.table([_builder_row(builder) for builder in builders])
    yield ""
    yield from page.table(
        look.Row((look.Cell(name, "dim"), look.Cell(text)), indent=2)
        for name, text in _details(build, report.repository, url)
        if text
    )
    if commands := list(_commands(report, client)):
        yield from ("", *page.table(look.Row((look.Cell(name, "dim"), look.Cell(text))) for name, text in commands))


def _commands(report: TaskReport, client: str) -> Iterator[tuple[str, str]]:
    """Yield the commands that a user may want to run next, each with a title."""
    root, status = report.build.root, f"{client} container-status"
    if not root.ended:
        yield "watch it:", f"{status} --watch {root.id}"
        yield "cancel it:", f"{status} --cancel {root.id}"
    if report.logs:
        yield "logs:", f"{status} {root.id} --logs{' --failed' if root.state == 'FAILED' else ''}"


def _builder_row(builder: Builder) -> Row:
    from fedpkg_container.progress.formatting import format_age
    from fedpkg_container.progress.look import Cell, Row

    problem = "disabled" if not builder.enabled else "" if builder.ready else "not ready"
    silent = builder.is_silent(time.time())
    return Row(
        (
            Cell(builder.name, "strong"),
            Cell(" ".join(builder.arches)),
            Cell(problem or "enabled", "warning" if problem else ""),
            Cell(
                "never seen" if builder.last_seen is None else f"seen {format_age(builder.last_seen)}",
                "warning" if silent else "",
            ),
            Cell(f"load {builder.load:.1f} of {builder.capacity:.1f}", "warning" if builder.is_full else ""),
        ),
        indent=2,
    )


def _details(build: RequestedBuild, repository: Repository | None, url: str) -> Iterator[tuple[str, str]]:
    root = build.root
    yield "nvr", build.nvr
    yield "source", build.source.partition("#")[0]
    yield "commit", build.commit
    yield "branch", build.branch
    yield "target", build.target
    if step := build.step:
        yield "step", step.text
    yield "options", ", ".join(f"{name}={value}" for name, value in sorted(build.options.items()))
    yield "owner", build.owner
    yield "created", _time(root.created)
    yield "started", _time(root.started)
    yield "ended", _time(root.completed)
    yield "url", url
    if repository is not None:
        yield "repository", _repository(repository)


def _time(timestamp: float | None) -> str:
    from fedpkg_container.progress.formatting import format_age

    if timestamp is None:
        return ""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S %z', time.localtime(timestamp))} ({format_age(timestamp)})"


def _repository(repository: Repository) -> str:
    from fedpkg_container.hub.waiting import repository_reason
    from fedpkg_container.progress.formatting import format_age

    age = f", created {format_age(repository.created)}" if repository.created is not None else ""
    newest = f"{repository.id}{age}" if repository.id is not None else ""
    return f"of {repository.tag}: {'; '.join(filter(None, (newest, repository_reason(repository))))}"


def _result_lines(page: Page, report: TaskReport) -> Iterator[str]:
    from fedpkg_container.progress import report as final_report
    from fedpkg_container.progress.look import Cell, Row

    outcome = report.outcome
    if outcome is None or outcome.task.state == "CANCELED":
        return
    if outcome.task.state == "CLOSED":
        yield from page.lines(Row((Cell(line),), indent=2) for line in final_report.success_lines(outcome))
        return
    yield from page.lines([Row((Cell(final_report.failure_reason(outcome), "bad"),), indent=2)])


def show_logs(client: Client, session: HubSession, task_id: int) -> int:
    """Print the logs of a task and of its children only.

    :raises RefusedError: if there are no logs (of the architecture)
    """
    from fedpkg_container.hub.logs import last_lines, read_log, read_tree
    from fedpkg_container.progress.plain import ROOT_LABEL

    tasks, logs = read_tree(session, task_id)
    if client.args.failed:
        logs = _logs_of_failed(tasks, logs, task_id)
    selected = _select_logs(logs, client.args.logs, task_id)
    for log in selected:
        prefix = f"{log.task.label or ROOT_LABEL} | " if len(selected) > 1 else ""
        tail = client.args.tail
        for lines in read_log(session, log) if tail is None else [last_lines(session, log, tail)]:
            print_lines(*(f"{prefix}{line}" for line in lines))
    return 0


def _logs_of_failed(tasks: Sequence[TaskState], logs: Sequence[TaskLog], task_id: int) -> list[TaskLog]:
    """Return the logs of failed tasks: of those that have no failed descendant, if they have logs.

    :raises RefusedError: if no task has failed
    """
    failed = {task.id for task in tasks if task.state == "FAILED"}
    if not failed:
        raise RefusedError(
            f"neither task {task_id} nor one of its subtasks has failed", solution="omit --failed to print all logs"
        )
    causes = failed - {task.parent for task in tasks if task.id in failed}
    return [log for log in logs if log.task.id in causes] or [log for log in logs if log.task.id in failed]


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
