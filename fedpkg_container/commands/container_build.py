# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg container-build``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fedpkg_container.commands.build_arguments import add_arguments, check_usage
from fedpkg_container.commands.terminal import is_json, is_quiet, print_event, print_lines, print_page, print_stderr
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from fedpkg_container.client import Client
    from fedpkg_container.commands.build_checks import CheckedBuild
    from fedpkg_container.hub.builds import Build
    from fedpkg_container.hub.events import Submitted
    from fedpkg_container.model.build import BuildRequest, Preflight
    from fedpkg_container.progress.outcome import Outcome

__all__ = ["add_arguments", "run"]


def run(client: Client) -> int:
    """Check the checkout, submit the build and follow it to its end.

    :param client: client with its arguments parsed
    :returns: exit status
    :raises FedpkgContainerError: each subclass has its own exit status
    """
    from fedpkg_container.commands.client_config import note_ignored_options, poll_interval

    check_usage(client)
    note_ignored_options(client)
    if client.args.local:
        from fedpkg_container.commands.local_build import run as run_local

        return run_local(client)
    from fedpkg_container.commands.metadata_file import check_output_file, recorded_outcome

    poll_interval(client)  # report invalid settings before the task is created
    if len(client.args.targets) > 1 or client.args.chain:
        from fedpkg_container.commands.several_builds import run_several

        return run_several(client)
    if client.args.task_info:
        check_output_file("--task-info", client.args.task_info)
    with recorded_outcome(client) as outcome:
        status = _run(client, outcome)
        outcome.note_status(status)
        return status


def _run(client: Client, outcome: Outcome) -> int:
    from fedpkg_container.commands.build_checks import check_head, check_retry

    build = check_retry(client, outcome) if client.args.retry else check_head(client, outcome)
    if client.args.if_needed and build.existing:
        return report_existing(client, build.existing, outcome)
    if client.args.if_needed and build.preflight.running:
        return _follow_running(client, build, build.preflight.running, outcome)
    if client.args.wait_repo is not None and build.session is not None:
        wait_for_repository(client, build)
    if client.args.dry_run:
        print_request(client, build.request, build.preflight)
        return 0
    return _submit_and_follow(client, build, outcome)


def report_existing(client: Client, build: Build, outcome: Outcome) -> int:
    """Report that HEAD has already been built (``--if-needed``)."""
    outcome.note_existing(build.id, build.nvr, build.pull_specs)
    if is_json(client):
        print_event("exists", nvr=build.nvr, build_id=build.id, pull_specs=list(build.pull_specs))
    elif is_quiet(client):
        print_lines(build.nvr, *build.pull_specs)
    else:
        print_lines(f"HEAD is already built: {build.nvr} (build {build.id})", *(f"    {s}" for s in build.pull_specs))
    return 0


def _follow_running(client: Client, build: CheckedBuild, task_id: int, outcome: Outcome) -> int:
    """Follow the task that is building HEAD (``--if-needed``), unless ``--nowait`` or ``--dry-run`` is given."""
    from fedpkg_container.commands.following import follow_to_end

    session = build.session
    assert session is not None, "--if-needed is not allowed with --offline"
    submitted = _submitted(client, task_id, build.request, build.preflight, build.name)
    outcome.note_task(task_id, submitted.url, "")
    is_followed = not (client.args.nowait or client.args.dry_run)
    if not is_json(client):
        print_stderr(f"HEAD is being built by task {task_id}")
    elif not is_followed:
        print_event("submitted", task_id=task_id, url=submitted.url, nvr=None, average=submitted.average)
    return follow_to_end(client, session, submitted, outcome=outcome) if is_followed else 0


def wait_for_repository(client: Client, build: CheckedBuild) -> None:
    """Wait for the repository of the build tag (``--wait-repo``); a dry run only checks that the builds exist."""
    from fedpkg_container.hub.session import hub_errors
    from fedpkg_container.hub.wait_repo import RepositoryWait

    assert build.session is not None, "--offline is only allowed with --dry-run"
    report = (lambda _: None) if is_quiet(client) else print_stderr
    nvrs = list(filter(None, client.args.wait_repo))
    with hub_errors(build.session.baseurl):
        wait = RepositoryWait(build.session, report)
        if client.args.dry_run:
            wait.packages(nvrs)
        else:
            wait.wait(build.preflight.build_tag, nvrs)


def _submit_and_follow(client: Client, build: CheckedBuild, outcome: Outcome) -> int:
    from fedpkg_container.commands.following import EXIT_INTERRUPTED, follow_to_end, handle_interrupt, submitted_task
    from fedpkg_container.signals import defer_signals

    session = build.session
    assert session is not None, "--offline is only allowed with --dry-run"
    with defer_signals() as pending:
        task_id = submit_build(build)
        outcome.note_task(task_id, _task_page(client, task_id), "")
        with submitted_task(client, task_id) as note_printed:
            submitted = report_submission(client, task_id, build, note_printed)
            outcome.note_task(task_id, submitted.url, submitted.nvr)
            if client.args.nowait:
                if pending.interrupted:
                    handle_interrupt(client, session, task_id)
                return EXIT_INTERRUPTED if pending.interrupted else 0
            warnings = tuple(str(finding) for finding in build.findings)
            return follow_to_end(client, session, submitted, warnings=warnings, pending=pending, outcome=outcome)


def submit_build(build: CheckedBuild) -> int:
    """Submit a build and return the ID of its task."""
    from fedpkg_container.hub.session import hub_errors
    from fedpkg_container.hub.submit import submit

    assert build.session is not None, "--offline is only allowed with --dry-run"
    with hub_errors(build.session.baseurl):
        return submit(build.session, build.request, newest=build.preflight.newest)


def report_submission(client: Client, task_id: int, build: CheckedBuild, note_printed: Callable[[], None]) -> Submitted:
    """Print the task, and write the file of ``--task-info``.

    :param note_printed: called when the task has been printed
    """
    from fedpkg_container.commands.following import follow_up_commands

    nowait, quiet = client.args.nowait, is_quiet(client)
    submitted = _submitted(client, task_id, build.request, build.preflight, build.name)
    if is_json(client):
        if nowait:
            fields = {"url": submitted.url, "nvr": submitted.nvr or None, "average": submitted.average}
            print_event("submitted", task_id=task_id, **fields)
    else:
        if not quiet or nowait:
            print_lines(f"Created task: {task_id}")
            note_printed()
        if not quiet:
            follow_up = [follow_up_commands(client, task_id)] if nowait else []
            info = [f"Task info: {submitted.url}"] if submitted.url else []
            print_lines(*info, *follow_up, links=[submitted.url])
    if client.args.task_info:
        _write_task_info(client, task_id, build.request, build.preflight)
    return submitted


def _submitted(client: Client, task_id: int, request: BuildRequest, preflight: Preflight, name: str = "") -> Submitted:
    from fedpkg_container.hub.events import Submitted

    title = preflight.nvr or f"{name}{' (scratch)' if request.scratch else ''}"
    nvr = "" if preflight.release_is_next else preflight.nvr
    return Submitted(task_id, _task_page(client, task_id), nvr, preflight.average, printable_line(title))


def print_request(client: Client, request: BuildRequest, preflight: Preflight) -> None:
    """Print what would be submitted (``--dry-run``)."""
    from fedpkg_container.progress.look import Cell, Page, Row

    fields = {
        "source": request.source,
        "target": request.target,
        **({"arches": " ".join(preflight.arches)} if preflight.arches else {}),
        **({"priority": f"+{request.priority}"} if request.priority is not None else {}),
        **dict(sorted(request.options.items())),
    }
    if is_json(client):
        nvr = preflight.nvr or None
        submission = {"source": request.source, "target": request.target, "options": dict(request.options)}
        print_event("request", nvr=nvr, arches=list(preflight.arches), priority=request.priority, **submission)
        return
    if is_quiet(client):
        print_lines(*([printable_line(preflight.nvr)] if preflight.nvr else []))
        return
    what = f" of {printable_line(preflight.nvr)}" if preflight.nvr else ""
    print_lines(f"dry run: would submit a {'scratch build' if request.scratch else 'build'}{what}")
    if client.args.wait_repo is not None:
        contents = ", ".join(filter(None, client.args.wait_repo)) or "the latest changes of the tag"
        print_lines(f"    after the repository of {preflight.build_tag} contains {contents}")
    if preflight.release_is_next and preflight.nvr:
        print_lines("    (next release according to the hub; another build may claim it first)")
    rows = [Row((Cell(name, "dim"), Cell(str(value))), indent=4) for name, value in fields.items()]
    print_page(Page(sys.stdout).table(rows))


def _write_task_info(client: Client, task_id: int, request: BuildRequest, preflight: Preflight) -> None:
    """Write the file of ``--task-info``.

    :raises StillRunningError: if it cannot be written
    """
    import json
    from pathlib import Path

    from fedpkg_container.errors import StillRunningError
    from fedpkg_container.files import write_output

    info = {
        "task_id": task_id,
        "url": _task_page(client, task_id),
        "nvr": None if preflight.release_is_next else preflight.nvr or None,
        "source": request.source,
        "target": request.target,
        "options": dict(request.options),
        "priority": request.priority,
    }
    try:
        write_output(Path(client.args.task_info), json.dumps(info, indent=4) + "\n")
    except OSError as error:
        reason = f"cannot write {client.args.task_info}: {error.strerror}; task {task_id} is still running"
        raise StillRunningError(reason) from error


def _task_page(client: Client, task_id: int) -> str:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import site_urls

    return site_urls(koji_profile(client)).task(task_id)
