# SPDX-License-Identifier: GPL-2.0-or-later
"""Following several tasks to their ends in one display (``container-status --watch`` with several tasks)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from fedpkg_container.commands.following import EXIT_INTERRUPTED, EXIT_STATUSES, progress_kind
from fedpkg_container.commands.terminal import print_event, print_lines, print_page, print_stderr, signal_end
from fedpkg_container.errors import (
    CanceledError,
    FedpkgContainerError,
    LostContactError,
    NotAuthenticatedError,
    UsageError,
)
from fedpkg_container.signals import Interrupted, PendingInterrupt, exit_on_signal, interruptible

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.hub.events import Event, Finished
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.progress.failure import LogTails
    from fedpkg_container.progress.plain import Renderer


def watch_several(
    client: Client,
    session: HubSession,
    titles: Mapping[int, str],
    finished: dict[int, Finished] | None = None,
    *,
    pending: PendingInterrupt | None = None,
) -> int:
    """Display tasks until all have ended, report the results and return the exit status.

    The status is that of a failed build if any failed, else that of a canceled one if any was canceled.

    :param titles: titles of the builds by the ID of the task
    :param finished: where to record the final events by the ID of the task
    :param pending: interrupt that was deferred since the submission
    :raises CanceledError: if the tasks were canceled on an interrupt
    :raises LostContactError: if the hub did not respond within ``--hub-timeout``
    """
    from fedpkg_container.commands.client_config import notifications
    from fedpkg_container.hub.follow_several import MAX_FOLLOWED
    from fedpkg_container.progress.factory import make_renderer
    from fedpkg_container.progress.failure import LogTails

    if not titles:
        print_lines("you have no running container builds")
        return 0
    if len(titles) > MAX_FOLLOWED:
        raise UsageError(f"argument --watch: at most {MAX_FOLLOWED} tasks are allowed")
    kind = progress_kind(client)
    finished = {} if finished is None else finished
    tails = LogTails()

    def running() -> list[int]:
        return [task_id for task_id in titles if task_id not in finished]

    try:
        with interruptible(exit_on_second=True, pending=pending):
            renderer = make_renderer(kind, sys.stdout, timestamps=client.args.timestamps)
            _follow(client, titles, renderer, kind, finished, tails)
    except Interrupted:
        if tasks := running():
            with exit_on_signal():
                handle_interrupt(client, session, tasks)
            return EXIT_INTERRUPTED
    except (LostContactError, NotAuthenticatedError) as error:
        error.solution = f"try again later:\n{_watch_command(client, running())}"
        raise
    _report(client, titles, finished, tails, kind)
    signal_end(f"{len(titles)} builds have ended", notifications(client))
    if missing := running():
        raise FedpkgContainerError(
            f"no final state of task {', '.join(map(str, missing))} was received",
            solution=_watch_command(client, missing).strip(),
        )
    states = [event.task.state for event in finished.values()]
    return next((EXIT_STATUSES[state] for state in ("FAILED", "CANCELED") if state in states), 0)


def _follow(
    client: Client,
    titles: Mapping[int, str],
    renderer: Renderer,
    kind: str,
    finished: dict[int, Finished],
    tails: LogTails,
) -> None:
    """Display the events of all tasks; add the final ones to ``finished``."""
    from fedpkg_container.commands.client_config import koji_profile, poll_interval, request_timeout
    from fedpkg_container.hub import events
    from fedpkg_container.hub.follow_several import follow_several
    from fedpkg_container.hub.session import anonymous_session, site_urls

    profile, timeout = koji_profile(client), request_timeout(client)
    urls = site_urls(profile)
    with renderer:
        if kind == "json":
            for task_id in titles:
                renderer(events.Submitted(task_id, urls.task(task_id)))
        for task_id, event in follow_several(
            lambda: anonymous_session(profile, timeout=timeout), list(titles), interval=poll_interval(client)
        ):
            tails(event)
            if isinstance(event, events.Finished):
                finished[task_id] = event
            if isinstance(event, (events.Requesting, events.Responded)):
                continue  # of one session among several, of which others may be served
            renderer(event if kind == "json" else titled(event, task_id, titles[task_id]))


def titled(event: Event, task_id: int, title: str) -> Event:
    """Return an event with the title of the build in the label of its task, to distinguish several builds.

    :param task_id: the root task of the build
    """
    from fedpkg_container.hub.events import LogLines, TaskChanged

    if not isinstance(event, (TaskChanged, LogLines)):
        return event
    task = event.task
    label = (
        title if task.id == task_id else f"{title} {task.label}".rstrip() if isinstance(event, LogLines) else task.label
    )
    return replace(event, task=replace(task, label=label))


def _watch_command(client: Client, tasks: list[int]) -> str:
    return f"    watch them: {client.name} container-status --watch {' '.join(map(str, tasks))}"


def handle_interrupt(client: Client, session: HubSession, running: list[int]) -> None:
    """Detach from the builds, or cancel them with ``--cancel-on-interrupt``.

    :raises CanceledError: if the tasks were canceled
    """
    from fedpkg_container.hub.canceling import cancel_tasks
    from fedpkg_container.hub.session import hub_errors

    ids = list(map(str, running))
    plural = len(ids) > 1
    tasks = f"{'tasks' if plural else 'task'} {', '.join(ids)}"
    if client.args.cancel_on_interrupt:
        print_stderr("", f"canceling {tasks} …")
        with hub_errors(session.baseurl):
            cancel_tasks(session, running)
        raise CanceledError(f"interrupted; {tasks} {'were' if plural else 'was'} canceled")
    cancel = f"    cancel them: {client.name} container-status --cancel {' '.join(ids)}"
    reason = f"interrupted; {tasks} {'are' if plural else 'is'} still running"
    print_stderr("", reason, _watch_command(client, running), cancel)


def _report(
    client: Client, titles: Mapping[int, str], finished: Mapping[int, Finished], tails: LogTails, kind: str
) -> None:
    """Print the results of all builds, in the order of their titles."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import site_urls
    from fedpkg_container.progress import report
    from fedpkg_container.progress.failure import Failure
    from fedpkg_container.progress.look import Cell, Page, Row, state_cell

    finished = {task_id: finished[task_id] for task_id in titles if task_id in finished}
    addresses = site_urls(koji_profile(client))
    failures = {task: Failure.of(event, tails, addresses, titles[task]) for task, event in finished.items()}
    if kind == "json":
        for task_id, event in finished.items():
            failure = failures[task_id]
            print_event("finished", **report.result_fields(event), failure=failure.fields() if failure else None)
        return
    page = Page(sys.stdout)
    for task_id, event in finished.items():
        state = event.task.state
        if kind != "quiet":
            cells = (Cell(titles[task_id], "strong"), state_cell(state), Cell(f"task {task_id}", "dim"))
            print_page(page.lines([Row(cells, state=state)]))
        if state == "CLOSED":
            indent = "" if kind == "quiet" else "  "
            print_lines(*(f"{indent}{line}" for line in report.success_lines(event, quiet=kind == "quiet")))
        elif failure := failures[task_id]:
            errors = Page(sys.stderr)
            lines = failure.lines(errors, indent=2)
            lines += errors.lines([Row((Cell(report.failure_reason(event), "bad"),), indent=2)])
            print_page(lines, sys.stderr, links=(failure.url, *failure.logs))
