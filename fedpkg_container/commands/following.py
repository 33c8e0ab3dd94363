"""Following a task to its end on behalf of a person, and saying how it ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import is_quiet, print_event, print_lines, print_stderr
from fedpkg_container.errors import (
    BuildFailedError,
    CanceledError,
    FedpkgContainerError,
    LostContactError,
    NotAuthenticatedError,
)
from fedpkg_container.signals import Interrupted, PendingInterrupt, interruptible

if TYPE_CHECKING:
    from fedpkg_container.hub.events import Finished, Submitted
    from fedpkg_container.progress.formatting import LogTails
    from fedpkg_container.progress.plain import Renderer

EXIT_INTERRUPTED = 130
#: How a task ended → the exit status.
EXIT_STATUSES = {"CLOSED": 0, "FAILED": BuildFailedError.exit_code, "CANCELED": CanceledError.exit_code}


def progress_kind(client: Any) -> str:
    """How a build is to be shown: ``-q`` means quiet."""
    from fedpkg_container.progress.factory import resolve_kind

    asked = client.args.progress
    return "quiet" if is_quiet(client) and asked == "auto" else resolve_kind(asked, sys.stdout)


def follow_to_end(
    client: Any,
    session: Any,
    submitted: Submitted,
    *,
    warnings: tuple[str, ...] = (),
    pending: PendingInterrupt | None = None,
) -> int:
    """Show a task until it has ended; the exit status.

    :param session: to the hub; logged in, or not
    :param warnings: of the checks, which the live view keeps visible
    :param pending: an interrupt that came since the submission
    :raises BuildFailedError: the build failed
    :raises CanceledError: it was canceled
    :raises LostContactError: the hub did not answer for too long
    """
    from fedpkg_container.progress.factory import make_renderer
    from fedpkg_container.progress.formatting import LogTails

    kind = progress_kind(client)
    show, tails = make_renderer(kind, sys.stdout, warnings=warnings), LogTails()
    finished = _watched(client, session, submitted, show, tails, pending)
    return EXIT_INTERRUPTED if finished is None else _report(client, finished, tails, kind)


def follow_logs(client: Any, session: Any, submitted: Submitted, arch: str) -> int:
    """Write the logs of a task as they come, and nothing else; the exit status says how it ended.

    :param arch: of the logs that are wanted; empty for all
    """
    from fedpkg_container.progress.formatting import LogTails
    from fedpkg_container.progress.plain import LogRenderer

    finished = _watched(client, session, submitted, LogRenderer(sys.stdout, arch), LogTails(), None)
    return EXIT_INTERRUPTED if finished is None else EXIT_STATUSES[finished.task.state]


def _watched(
    client: Any, session: Any, submitted: Submitted, show: Renderer, tails: LogTails, pending: PendingInterrupt | None
) -> Finished | None:
    """How the task ended; None when somebody interrupted, and was told how to go on."""
    with interruptible(exit_on_second=True):
        try:
            if pending is not None and pending.interrupted:
                raise Interrupted
            return _watch(client, session, submitted, show, tails)
        except Interrupted:
            handle_interrupt(client, session, submitted.task_id)
            return None
        except (LostContactError, NotAuthenticatedError) as error:
            error.solution = f"it goes on:\n{follow_up_commands(client, submitted.task_id)}"
            raise


def _watch(client: Any, session: Any, submitted: Submitted, show: Renderer, tails: LogTails) -> Finished:
    from fedpkg_container.commands.client_config import koji_profile, poll_interval
    from fedpkg_container.hub.events import Finished
    from fedpkg_container.hub.follow import follow
    from fedpkg_container.hub.session import contact, log_in, profile_options

    def login() -> None:
        log_in(session, profile_options(koji_profile(client)), client.cmd)

    with contact(session.baseurl), show:
        show(submitted)
        again = login if session.logged_in else None
        for event in follow(session, submitted.task_id, pace=poll_interval(client), login=again):
            tails(event)
            show(event)
            if isinstance(event, Finished):
                return event
    raise FedpkgContainerError(f"task {submitted.task_id} was not followed to its end")


def handle_interrupt(client: Any, session: Any, task_id: int) -> None:
    """Leave a build and say how to go on, or cancel it when that is asked for.

    :raises CanceledError: it was canceled
    """
    from fedpkg_container.hub.session import contact

    if client.args.cancel_on_interrupt:
        print_stderr("", f"canceling task {task_id} …")
        try:
            with contact(session.baseurl):
                session.cancelTask(task_id)
        except FedpkgContainerError as error:
            error.reason = f"task {task_id} was not canceled: {error.reason}"
            error.solution = f"it goes on:\n{follow_up_commands(client, task_id)}"
            raise
        raise CanceledError(f"task {task_id} was canceled, because you interrupted")
    print_stderr("", f"interrupted: task {task_id} goes on", follow_up_commands(client, task_id))


def follow_up_commands(client: Any, task_id: int) -> str:
    """How a task that is left can be watched and canceled."""
    from fedpkg_container.commands.client_config import koji_profile

    koji = str(getattr(client.cmd, "build_client", "") or "koji")
    profile = koji_profile(client)
    named = "" if profile == koji else f" --profile {profile}"
    watch = f"{client.name} container-status --watch {task_id}"
    return f"    watch it:  {watch}\n    cancel it: {koji}{named} cancel {task_id}"


def _report(client: Any, event: Finished, tails: LogTails, kind: str) -> int:
    """The end: what the packager came for; the exit status."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import addresses
    from fedpkg_container.progress import report

    if kind == "json":
        print_event("finished", **report.result_fields(event))
    if event.task.state == "CANCELED":
        raise CanceledError(f"task {event.task.id} was canceled")
    if event.task.state == "FAILED":
        if kind != "json":
            print_stderr(*report.failure_lines(event, tails, addresses(koji_profile(client))))
        failed = event.failed or event.task
        raise BuildFailedError(
            report.failure_reason(event),
            solution=f"all of its logs: {client.name} container-status {failed.id} --logs",
        )
    if kind != "json":
        print_lines(*report.success_lines(event, quiet=kind == "quiet"))
    return 0
