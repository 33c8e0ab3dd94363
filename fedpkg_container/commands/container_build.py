# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg container-build``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedpkg_container.commands.build_arguments import add_arguments, check_usage, flatten
from fedpkg_container.commands.terminal import format_fields, is_json, is_quiet, print_event, print_lines, print_stderr
from fedpkg_container.text import os_error_solution, printable_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.distgit.dockerfile import Dockerfile
    from fedpkg_container.hub.events import Submitted
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.model.build import BuildRequest, Preflight
    from fedpkg_container.model.findings import Finding
    from fedpkg_container.model.options import BuildOptions

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
    from fedpkg_container.commands.following import EXIT_INTERRUPTED, follow_to_end, handle_interrupt, submitted_task
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.signals import defer_signals

    arguments = client.args
    poll_interval(client)  # report invalid settings before the task is created
    if arguments.task_info:
        _check_task_info(arguments.task_info)
    checkout = Checkout.read(client.cmd)
    if arguments.release:
        branch = checkout.branch
        print_stderr(f"note: --release {branch}: the build fails if branch {branch} does not contain this commit")
    request = _request(client, checkout)
    _log_request(request)
    session, preflight, findings = _check(client, checkout, request)
    if arguments.dry_run:
        _print_request(client, request, preflight)
        return 0
    assert session is not None, "--offline is only allowed with --dry-run"
    with defer_signals() as pending:
        task_id = _submit(session, request, preflight)
        with submitted_task(client, task_id) as note_printed:
            _report_submission(client, task_id, request, preflight, note_printed)
            if arguments.nowait:
                if pending.interrupted:
                    handle_interrupt(client, session, task_id)
                return EXIT_INTERRUPTED if pending.interrupted else 0
            submitted = _submitted(client, task_id, request, preflight, checkout)
            warnings = tuple(str(finding) for finding in findings)
            return follow_to_end(client, session, submitted, warnings=warnings, pending=pending)


def _log_request(request: BuildRequest) -> None:
    import logging

    from fedpkg_container.redaction import redact_message, redact_url

    options = redact_message(str({name: value for name, value in request.options.items() if name != "userdata"}))
    source, _, commit = request.source.partition("#")
    _log = logging.getLogger(__name__)
    _log.info("build request: %s at %s for target %s, options %s", redact_url(source), commit, request.target, options)


def _submitted(
    client: Client, task_id: int, request: BuildRequest, preflight: Preflight, checkout: Checkout | None = None
) -> Submitted:
    from fedpkg_container.hub.events import Submitted

    name = f"{checkout.namespace}/{checkout.name}" if checkout else ""
    title = preflight.nvr or f"{name}{' (scratch)' if request.scratch else ''}"
    nvr = "" if preflight.release_is_next else preflight.nvr
    return Submitted(task_id, _task_page(client, task_id), nvr, preflight.average, printable_line(title))


def _request(client: Client, checkout: Checkout) -> BuildRequest:
    from fedpkg_container.model.build import BACKGROUND, BuildRequest
    from fedpkg_container.model.options import without_none

    arguments = client.args
    if arguments.target:
        client.cmd.target = arguments.target
    arches = flatten(arguments.arches)
    options: BuildOptions = {
        "scratch": arguments.scratch or None,
        "isolated": arguments.isolated or None,
        "release": arguments.build_release,
        "koji_parent_build": arguments.koji_parent_build,
        "yum_repourls": flatten(arguments.repo_url),
        "git_branch": checkout.branch,
        "signing_intent": arguments.signing_intent,
        "compose_ids": flatten(arguments.compose_ids),
        "skip_build": arguments.skip_build or None,
        "dependency_replacements": flatten(arguments.replace_dependency),
        "arch_override": " ".join(arches) if arches else None,
        "userdata": _userdata(client),
    }
    default_target = client.cmd.container_build_target if checkout.branch else ""
    return BuildRequest(
        source=checkout.source,
        target=client.cmd.target if arguments.target else default_target,
        options=without_none(options),
        priority=BACKGROUND if arguments.background else None,
    )


def _userdata(client: Client) -> dict[str, object] | None:
    import json

    text = client.args.userdata
    if text is None:
        return None
    try:
        data = json.loads(text)
    except ValueError as error:
        client.container_build_parser.error(f"argument --userdata: invalid JSON: {error}")
    if not isinstance(data, dict):
        client.container_build_parser.error("argument --userdata: must be a JSON object")
    return dict(data)


def _check(
    client: Client, checkout: Checkout, request: BuildRequest
) -> tuple[HubSession | None, Preflight, list[Finding]]:
    """Check the files and the state of the hub before the submission.

    :returns: session (None with ``--offline``), result of the hub's checks, and remaining findings (warnings)
    :raises RefusedError: if a check found an error; with all findings
    """
    from fedpkg_container.commands.findings import apply_overrides, raise_on_errors, report_findings
    from fedpkg_container.distgit import rules
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.model.build import Preflight
    from fedpkg_container.model.findings import ERROR, Finding

    arguments = client.args
    file_findings, dockerfile = _check_files(client, checkout)
    if not request.target:
        solution = "switch to a branch, or pass --target"
        raise_on_errors(
            [*file_findings, Finding("target", ERROR, "unknown target: the checkout is not on a branch", solution)]
        )
    session: HubSession | None = None
    preflight, note = Preflight([]), ""
    try:
        if not arguments.offline:
            session, preflight = _query_hub(client, checkout, request, dockerfile)
            if dockerfile is not None:
                file_findings += rules.check_architectures(checkout, dockerfile, preflight.arches)
    except FedpkgContainerError as error:
        if not any(finding.severity == ERROR for finding in apply_overrides(file_findings, skip=arguments.skip_check)):
            raise
        note = f"checks of the hub skipped: {error.reason}"
    findings = apply_overrides(
        [*file_findings, *preflight.findings], skip=arguments.skip_check, strict=arguments.strict
    )
    raise_on_errors(findings, note=note)
    report_findings(client, findings)
    return session, preflight, findings


def _check_files(client: Client, checkout: Checkout) -> tuple[list[Finding], Dockerfile | None]:
    """Return the findings about the files of the checkout, and the Dockerfile; None if it cannot be read."""
    from fedpkg_container.commands.parents import known_parents
    from fedpkg_container.distgit import file_rules, rules

    dockerfile, _ = file_rules.read(checkout.path)
    if dockerfile is not None and not client.args.offline:
        dockerfile = known_parents(dockerfile)
    findings = rules.check(checkout, local=client.args.local, dockerfile=dockerfile)
    return [*findings, *_gating(client)], dockerfile


def _gating(client: Client) -> Sequence[Finding]:
    """Return the findings of rpkg's check of gating.yaml."""
    if client.args.offline:
        return []
    import requests
    from pyrpkg.errors import rpkgError

    from fedpkg_container.model.findings import ERROR, Finding

    try:
        client.check_remote_rules_gating()
    except (rpkgError, requests.RequestException, KeyError, ValueError) as error:  # the last two: unexpected response
        solution = "fix gating.yaml, or build with --skip-remote-rules-validation"
        return [Finding("gating", ERROR, f"gating.yaml: {error}", solution, "gating.yaml")]
    return []


def _query_hub(
    client: Client, checkout: Checkout, request: BuildRequest, dockerfile: Dockerfile | None
) -> tuple[HubSession, Preflight]:
    from fedpkg_container.commands.client_config import koji_profile, request_timeout
    from fedpkg_container.distgit.container_yaml import ContainerYaml
    from fedpkg_container.hub import preflight
    from fedpkg_container.hub.session import anonymous_session, connect, hub_errors

    profile = koji_profile(client)
    timeout = request_timeout(client)
    session = (
        anonymous_session(profile, timeout=timeout)
        if client.args.dry_run
        else connect(profile, client.cmd, timeout=timeout)
    )
    with hub_errors(session.baseurl):
        labels, unknown = (dockerfile.labels, dockerfile.unknown_labels) if dockerfile else ({}, frozenset())
        platforms = ContainerYaml.read(checkout.path).platforms
        return session, preflight.preflight(session, request, labels, platforms, unknown)


def _print_request(client: Client, request: BuildRequest, preflight: Preflight) -> None:
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
    if preflight.release_is_next and preflight.nvr:
        print_lines("    (next release according to the hub; another build may claim it first)")
    print_lines(*format_fields(fields))


def _submit(session: HubSession, request: BuildRequest, preflight: Preflight) -> int:
    """Submit the build and return the ID of its task."""
    from fedpkg_container.hub.session import hub_errors
    from fedpkg_container.hub.submit import submit

    with hub_errors(session.baseurl):
        return submit(session, request, newest=preflight.newest)


def _report_submission(
    client: Client, task_id: int, request: BuildRequest, preflight: Preflight, note_printed: Callable[[], None]
) -> None:
    """Print the task, and write the file of ``--task-info``.

    :param note_printed: called when the task has been printed
    """
    from fedpkg_container.commands.following import follow_up_commands

    nowait, quiet = client.args.nowait, is_quiet(client)
    if is_json(client):
        if nowait:
            event = _submitted(client, task_id, request, preflight)
            print_event("submitted", task_id=task_id, url=event.url, nvr=event.nvr or None, average=event.average)
    else:
        if not quiet or nowait:
            print_lines(f"Created task: {task_id}")
            note_printed()
        if not quiet:
            page = _task_page(client, task_id)
            follow_up = [follow_up_commands(client, task_id)] if nowait else []
            print_lines(*([f"Task info: {page}"] if page else []), *follow_up)
    if client.args.task_info:
        _write_task_info(client, task_id, request, preflight)


def _check_task_info(name: str) -> None:
    """Check before the submission that the file of ``--task-info`` can be written.

    :raises UsageError: if it cannot
    """
    from pathlib import Path

    from fedpkg_container.errors import UsageError
    from fedpkg_container.files import check_writable

    try:
        check_writable(Path(name))
    except OSError as error:
        raise UsageError(
            f"argument --task-info: cannot write {name}: {error.strerror}",
            solution=os_error_solution(error) or "choose another file",
        ) from error


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
