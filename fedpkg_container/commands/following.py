# SPDX-License-Identifier: GPL-2.0-or-later
"""Following a task to its end: progress display, interrupts, and the final report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fedpkg_container.commands.terminal import (
    is_quiet,
    print_annotation,
    print_event,
    print_lines,
    print_page,
    print_stderr,
    signal_end,
)
from fedpkg_container.errors import (
    BuildFailedError,
    CanceledError,
    FedpkgContainerError,
    LostContactError,
    NotAuthenticatedError,
    StillRunningError,
)
from fedpkg_container.signals import Interrupted, PendingInterrupt, exit_on_signal, interruptible
from fedpkg_container.text import os_error_text, reason_text

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.hub.events import Finished, Submitted
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.progress.failure import Failure, LogTails
    from fedpkg_container.progress.outcome import Outcome
    from fedpkg_container.progress.plain import Renderer

EXIT_INTERRUPTED = 130
#: Final state of a task → exit status.
EXIT_STATUSES = {"CLOSED": 0, "FAILED": BuildFailedError.exit_code, "CANCELED": CanceledError.exit_code}


def progress_kind(client: Client) -> str:
    """Return the progress display to use; ``-q`` means quiet."""
    from fedpkg_container.progress.factory import resolve_kind

    requested = client.args.progress
    if requested == "auto" and not is_quiet(client) and (client.args.v or client.args.debug):
        return "plain"  # lines of the log would disturb the live view
    if requested == "auto" and not is_quiet(client) and client.args.timestamps:
        return "plain"
    return "quiet" if is_quiet(client) and requested == "auto" else resolve_kind(requested, sys.stdout)


@contextmanager
def submitted_task(client: Client, task_id: int) -> Iterator[Callable[[], None]]:
    """Translate errors after the submission into one that names the task, so that a script does not submit it again.

    The final states of the build (failed, canceled) are not affected.

    :returns: a function to call when the task has been printed; after that, a closed pipe requires no message
    :raises StillRunningError: if the task may still be running
    """
    follow_up = follow_up_commands(client, task_id)
    printed: list[int] = []
    try:
        yield lambda: printed.append(task_id)
    except (BuildFailedError, CanceledError):
        raise
    except BrokenPipeError:
        if not printed:
            print_stderr(_is_running("standard output was closed", task_id), follow_up)
        raise
    except FedpkgContainerError as error:
        reason = error.reason if f"task {task_id}" in error.reason else _is_running(error.reason, task_id)
        solution = error.solution if str(task_id) in error.solution else f"{error.solution}\n{follow_up}".strip("\n")
        raise StillRunningError(reason, solution=solution) from error
    except (OSError, UnicodeError) as error:
        reason = os_error_text(error) if isinstance(error, OSError) else reason_text(error)
        raise StillRunningError(_is_running(reason, task_id), solution=follow_up) from error


def _is_running(reason: str, task_id: int) -> str:
    return f"{reason}; task {task_id} is still running"


def follow_to_end(
    client: Client,
    session: HubSession,
    submitted: Submitted,
    *,
    warnings: tuple[str, ...] = (),
    pending: PendingInterrupt | None = None,
    outcome: Outcome | None = None,
) -> int:
    """Display a task until it ends, report the result and return the exit status.

    :param session: session with the hub, logged in or anonymous
    :param warnings: warnings of the checks, which the live view keeps visible
    :param pending: interrupt that was deferred since the submission
    :param outcome: where to record the end of the task
    :raises BuildFailedError: if the build failed
    :raises CanceledError: if the task was canceled
    :raises LostContactError: if the hub did not respond within ``--hub-timeout``
    """
    from fedpkg_container.commands.client_config import notifications
    from fedpkg_container.progress.factory import make_renderer
    from fedpkg_container.progress.failure import LogTails

    kind = progress_kind(client)
    renderer = make_renderer(kind, sys.stdout, warnings=warnings, timestamps=client.args.timestamps)
    tails = LogTails()
    finished = _follow_or_detach(client, session, submitted, renderer, tails, pending)
    if finished is None:
        return EXIT_INTERRUPTED
    failure = _failure(client, finished, tails, submitted.title)
    if outcome is not None:
        outcome.note_end(finished, failure)
    signal_end(f"{submitted.title}: {finished.task.state.lower()}", notifications(client))
    return _report(client, finished, failure, kind, logs_shown=renderer.shows_logs)


def follow_logs(client: Client, session: HubSession, submitted: Submitted, arch: str) -> int:
    """Write the log lines of a running task only; return the exit status for its final state.

    :param arch: architecture of the logs; empty for all
    """
    from fedpkg_container.progress.failure import LogTails
    from fedpkg_container.progress.plain import LogRenderer

    finished = _follow_or_detach(client, session, submitted, LogRenderer(sys.stdout, arch), LogTails(), None)
    return EXIT_INTERRUPTED if finished is None else EXIT_STATUSES[finished.task.state]


def _follow_or_detach(
    client: Client,
    session: HubSession,
    submitted: Submitted,
    renderer: Renderer,
    tails: LogTails,
    pending: PendingInterrupt | None,
) -> Finished | None:
    """Follow a task to its end; on an interrupt before that, print the follow-up commands and return None."""
    finished: list[Finished] = []
    try:
        with interruptible(exit_on_second=True, pending=pending):
            _follow(client, session, submitted, renderer, tails, finished)
    except Interrupted:
        if not finished:
            with exit_on_signal():
                handle_interrupt(client, session, submitted.task_id)
            return None
    except (LostContactError, NotAuthenticatedError) as error:
        error.solution = f"try again later:\n{follow_up_commands(client, submitted.task_id)}"
        raise
    return finished[0]


def _follow(
    client: Client,
    session: HubSession,
    submitted: Submitted,
    renderer: Renderer,
    tails: LogTails,
    finished: list[Finished],
) -> None:
    """Display the events of a task; add the last one to ``finished``."""
    from fedpkg_container.commands.client_config import koji_profile, poll_interval
    from fedpkg_container.hub.events import Finished
    from fedpkg_container.hub.follow import follow
    from fedpkg_container.hub.session import hub_errors, log_in, profile_options

    def login() -> None:
        log_in(session, profile_options(koji_profile(client)), client.cmd)

    with hub_errors(session.baseurl), renderer:
        renderer(submitted)
        renew_login = login if session.logged_in else None
        for event in follow(session, submitted.task_id, interval=poll_interval(client), login=renew_login):
            tails(event)
            if isinstance(event, Finished):
                finished.append(event)
            renderer(event)
    if not finished:
        raise FedpkgContainerError(
            f"no final state of task {submitted.task_id} was received",
            solution=f"show it: {client.name} container-status {submitted.task_id}",
        )


def handle_interrupt(client: Client, session: HubSession, task_id: int) -> None:
    """Detach from a build and print the follow-up commands, or cancel it with ``--cancel-on-interrupt``.

    :raises CanceledError: if the task was canceled
    """
    from fedpkg_container.hub.session import hub_errors

    if client.args.cancel_on_interrupt:
        print_stderr("", f"canceling task {task_id} …")
        try:
            with hub_errors(session.baseurl):
                session.cancelTask(task_id)
        except FedpkgContainerError as error:
            error.reason = f"cannot cancel task {task_id}: {error.reason}"
            error.solution = f"the task is still running:\n{follow_up_commands(client, task_id)}"
            raise
        raise CanceledError(f"interrupted; task {task_id} was canceled")
    print_stderr("", f"interrupted; task {task_id} is still running", follow_up_commands(client, task_id))


def follow_up_commands(client: Client, task_id: int) -> str:
    """Return the commands that watch and cancel a task."""
    status = f"{client.name} container-status"
    return f"    watch it:  {status} --watch {task_id}\n    cancel it: {status} --cancel {task_id}"


def _failure(client: Client, event: Finished, tails: LogTails, package: str) -> Failure | None:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import site_urls
    from fedpkg_container.progress.failure import Failure

    return Failure.of(event, tails, site_urls(koji_profile(client)), package)


def _report(client: Client, event: Finished, failure: Failure | None, kind: str, *, logs_shown: bool) -> int:
    """Print the final report and return the exit status."""
    from fedpkg_container.progress import report
    from fedpkg_container.progress.look import Page

    if kind == "json":
        print_event("finished", **report.result_fields(event), failure=failure.fields() if failure else None)
    if event.task.state == "CANCELED":
        raise CanceledError(f"task {event.task.id} was canceled")
    if failure:
        if kind != "json":
            lines = failure.lines(Page(sys.stderr), shown=logs_shown)
            print_page(lines, sys.stderr, links=(failure.url, *failure.logs))
            file, line = failure.report.file, failure.report.line
            print_annotation("error", failure.reason, file=file, line=line, title="container build failed")
        raise BuildFailedError(
            report.failure_reason(event),
            solution=f"complete logs: {client.name} container-status {failure.task.id} --logs",
        )
    if kind != "json":
        print_lines(*report.success_lines(event, quiet=kind == "quiet"))
    return 0
