"""Following a task to its end on behalf of a person, and saying how it ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from fedpkg_container.errors import BuildFailedError, CanceledError, FedpkgContainerError

if TYPE_CHECKING:
    from fedpkg_container.hub.events import Finished, Submitted
    from fedpkg_container.progress.renderer import Renderer
    from fedpkg_container.progress.tails import Tails

INTERRUPTED = 130
#: How a task ended → the exit status.
EXIT_STATUSES = {"CLOSED": 0, "FAILED": BuildFailedError.exit_code, "CANCELED": CanceledError.exit_code}


def progress_kind(client: Any) -> str:
    """How a build is to be shown: ``-q`` means quiet."""
    from fedpkg_container.progress.choose import kind_for

    asked = "quiet" if client.args.q and client.args.progress == "auto" else client.args.progress
    return kind_for(asked, sys.stdout)


def follow_to_end(client: Any, session: Any, submitted: Submitted, *, warnings: tuple[str, ...] = ()) -> int:
    """Show a task until it has ended; the exit status.

    :param session: to the hub; logged in, or not
    :param warnings: of the checks, which the live view keeps visible
    :raises BuildFailedError: the build failed
    :raises CanceledError: it was canceled
    :raises LostContactError: the hub did not answer for too long
    """
    from fedpkg_container.progress.choose import renderer
    from fedpkg_container.progress.tails import Tails
    from fedpkg_container.signals import Interrupted, interruptible

    kind = progress_kind(client)
    show, tails = renderer(kind, sys.stdout, warnings=warnings), Tails()
    with interruptible(leave_on_second=True):
        try:
            finished = _watch(client, session, submitted, show, tails)
        except Interrupted:
            return interrupted(client, session, submitted.task_id)
    return _report(client, finished, show, tails, kind)


def _watch(client: Any, session: Any, submitted: Submitted, show: Renderer, tails: Tails) -> Finished:
    from fedpkg_container.commands.site import koji_profile, pace
    from fedpkg_container.hub.events import Finished
    from fedpkg_container.hub.follow import follow
    from fedpkg_container.hub.session import contact, log_in, profile_options

    def login() -> None:
        log_in(session, profile_options(koji_profile(client)), client.cmd)

    with contact(session.baseurl), show:
        show(submitted)
        again = login if session.logged_in else None
        for event in follow(session, submitted.task_id, pace=pace(client), login=again):
            tails(event)
            show(event)
            if isinstance(event, Finished):
                return event
    raise FedpkgContainerError(f"task {submitted.task_id} was not followed to its end")


def interrupted(client: Any, session: Any, task_id: int) -> int:
    """Leave a build, or cancel it when that is asked for; the exit status.

    :raises CanceledError: it was canceled
    """
    from fedpkg_container.hub.session import contact

    if client.args.cancel_on_interrupt:
        with contact(session.baseurl):
            session.cancelTask(task_id)
        raise CanceledError(f"task {task_id} was canceled, because you interrupted")
    print(f"\ninterrupted: task {task_id} goes on\n{ways_on(client, task_id)}", file=sys.stderr)
    return INTERRUPTED


def ways_on(client: Any, task_id: int) -> str:
    """How a task that is left can be watched and canceled."""
    koji = str(getattr(client.cmd, "build_client", "") or "koji")
    return f"    watch it:  {client.name} container-status --watch {task_id}\n    cancel it: {koji} cancel {task_id}"


def _report(client: Any, event: Finished, show: Renderer, tails: Tails, kind: str) -> int:
    """The end: what the packager came for; the exit status."""
    from fedpkg_container.commands.site import koji_profile
    from fedpkg_container.hub.session import addresses
    from fedpkg_container.progress import report
    from fedpkg_container.progress.json_lines import JsonRenderer

    if isinstance(show, JsonRenderer):
        show.write("finished", **report.result_facts(event))
    if event.task.state == "CANCELED":
        raise CanceledError(f"task {event.task.id} was canceled")
    if event.task.state == "FAILED":
        if kind != "json":
            for line in report.failure(event, tails, addresses(koji_profile(client))):
                print(line, file=sys.stderr)
        failed = event.failed or event.task
        raise BuildFailedError(
            report.failure_reason(event),
            solution=f"all of its logs: {client.name} container-status {failed.id} --logs",
        )
    if kind != "json":
        for line in report.success(event, quiet=kind == "quiet"):
            print(line, flush=True)
    return 0
