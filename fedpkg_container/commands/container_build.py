"""``fedpkg container-build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.build_arguments import add_arguments, check_usage, flatten
from fedpkg_container.commands.terminal import format_fields, is_json, is_quiet, print_event, print_lines, print_stderr
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.events import Submitted
    from fedpkg_container.model.build import BuildRequest, Preflight
    from fedpkg_container.model.findings import Finding

__all__ = ["add_arguments", "run"]


def run(client: Any) -> int:
    """Check the checkout, submit, follow to the end.

    :param client: the site's client, with its arguments parsed
    :returns: exit status
    :raises FedpkgContainerError: see the exit statuses
    """
    check_usage(client)
    if client.args.local:
        from fedpkg_container.commands.local_build import run as run_local

        return run_local(client)
    from fedpkg_container.commands.client_config import poll_interval
    from fedpkg_container.commands.following import EXIT_INTERRUPTED, follow_to_end, handle_interrupt
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.signals import defer_signals

    arguments = client.args
    poll_interval(client)  # a wrong setting is told before there is a task
    if arguments.task_info:
        _check_task_info(arguments.task_info)
    checkout = Checkout.read(client.cmd)
    if arguments.release:
        print_stderr(f"with --release, the branch is {checkout.branch}: the build fails where that lacks the commit")
    request = _request(client, checkout)
    session, answer, findings = _check(client, checkout, request)
    if arguments.dry_run:
        _say_request(client, request, answer)
        return 0
    with defer_signals() as pending:
        task_id = _submit(client, session, request, answer)
        if arguments.nowait:
            if pending.interrupted:
                handle_interrupt(client, session, task_id)
            return EXIT_INTERRUPTED if pending.interrupted else 0
        submitted = _submitted(client, task_id, request, answer, checkout)
        warnings = tuple(str(finding) for finding in findings)
        return follow_to_end(client, session, submitted, warnings=warnings, pending=pending)


def _submitted(
    client: Any, task_id: int, request: BuildRequest, answer: Preflight, checkout: Checkout | None = None
) -> Submitted:
    from fedpkg_container.hub.events import Submitted

    name = f"{checkout.namespace}/{checkout.name}" if checkout else ""
    title = answer.nvr or f"{name}{' (scratch)' if request.scratch else ''}"
    nvr = "" if answer.release_is_next else answer.nvr
    return Submitted(task_id, _task_page(client, task_id), nvr, answer.average, printable_line(title))


def _request(client: Any, checkout: Checkout) -> BuildRequest:
    from fedpkg_container.model.build import BACKGROUND, BuildRequest

    arguments = client.args
    if arguments.target:
        client.cmd.target = arguments.target
    arches = flatten(arguments.arches)
    options = {
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
    derived = client.cmd.container_build_target if checkout.branch else ""
    return BuildRequest(
        source=checkout.source,
        target=client.cmd.target if arguments.target else derived,
        options={key: value for key, value in options.items() if value is not None},
        priority=BACKGROUND if arguments.background else None,
    )


def _userdata(client: Any) -> dict[str, Any] | None:
    import json

    text = client.args.userdata
    if text is None:
        return None
    try:
        data = json.loads(text)
    except ValueError as error:
        client.container_build_parser.error(f"argument --userdata: not JSON: {error}")
    if not isinstance(data, dict):
        client.container_build_parser.error("argument --userdata: must be a JSON object")
    return dict(data)


def _check(client: Any, checkout: Checkout, request: BuildRequest) -> tuple[Any, Preflight, list[Finding]]:
    """Check files and hub, and refuse what would fail; the session, what the hub knows, and the warnings.

    :raises RefusedError: with every finding
    """
    from fedpkg_container.commands.findings import apply_overrides, raise_on_errors, report_findings
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.model.build import Preflight
    from fedpkg_container.model.findings import ERROR, Finding

    arguments = client.args
    found, labels = _check_files(client, checkout)
    if not request.target:
        solution = "switch to a branch, or name the target with --target"
        raise_on_errors(
            [*found, Finding("target", ERROR, "no target is known, because the checkout is on no branch", solution)]
        )
    session, answer, note = None, Preflight([]), ""
    try:
        if not arguments.offline:
            session, answer = _ask_hub(client, checkout, request, labels)
    except FedpkgContainerError as error:
        if not any(finding.severity == ERROR for finding in apply_overrides(found, skip=arguments.skip_check)):
            raise
        note = f"the hub was not asked: {error.reason}"
    findings = apply_overrides([*found, *answer.findings], skip=arguments.skip_check, strict=arguments.strict)
    raise_on_errors(findings, note=note)
    report_findings(client, findings)
    return session, answer, findings


def _check_files(client: Any, checkout: Checkout) -> tuple[list[Finding], Mapping[str, str]]:
    """What is wrong on disk, and the labels of the Dockerfile."""
    from fedpkg_container.distgit import rules
    from fedpkg_container.distgit.dockerfile import Dockerfile

    findings = [*rules.check(checkout, local=client.args.local), *_gating(client)]
    readable = all(finding.code != "no-dockerfile" for finding in findings)
    return findings, Dockerfile.read(checkout.path).labels if readable else {}


def _gating(client: Any) -> Sequence[Finding]:
    """What rpkg's check of gating.yaml says."""
    if client.args.offline:
        return []
    import requests
    from pyrpkg.errors import rpkgError

    from fedpkg_container.model.findings import ERROR, Finding

    try:
        client.check_remote_rules_gating()
    except (rpkgError, requests.RequestException, KeyError, ValueError) as error:  # the last two: a strange answer
        solution = "mend it, or build with --skip-remote-rules-validation"
        return [Finding("gating", ERROR, f"gating.yaml: {error}", solution, "gating.yaml")]
    return []


def _ask_hub(
    client: Any, checkout: Checkout, request: BuildRequest, labels: Mapping[str, str]
) -> tuple[Any, Preflight]:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.distgit.container_yaml import ContainerYaml
    from fedpkg_container.hub.preflight import preflight
    from fedpkg_container.hub.session import anonymous, connect, contact

    profile = koji_profile(client)
    session = anonymous(profile) if client.args.dry_run else connect(profile, client.cmd)
    with contact(session.baseurl):
        return session, preflight(session, request, labels, ContainerYaml.read(checkout.path).platforms)


def _say_request(client: Any, request: BuildRequest, answer: Preflight) -> None:
    facts = {
        "source": request.source,
        "target": request.target,
        **({"arches": " ".join(answer.arches)} if answer.arches else {}),
        **({"priority": f"+{request.priority}"} if request.priority is not None else {}),
        **dict(sorted(request.options.items())),
    }
    if is_json(client):
        nvr = answer.nvr or None
        asked = {"source": request.source, "target": request.target, "options": dict(request.options)}
        print_event("request", nvr=nvr, arches=list(answer.arches), priority=request.priority, **asked)
        return
    what = f" of {printable_line(answer.nvr)}" if answer.nvr else ""
    print_lines(f"dry run: would submit a {'scratch build' if request.scratch else 'build'}{what}")
    if answer.release_is_next and answer.nvr:
        print_lines("    (the hub's next release now; another build may take it first)")
    print_lines(*format_fields(facts))


def _submit(client: Any, session: Any, request: BuildRequest, answer: Preflight) -> int:
    """Submit, and say so; the task's id."""
    from fedpkg_container.commands.following import follow_up_commands
    from fedpkg_container.hub.session import contact
    from fedpkg_container.hub.submit import submit

    with contact(session.baseurl):
        task_id = submit(session, request, newest=answer.newest)
    if client.args.task_info:
        _write_task_info(client, task_id, request, answer)
    nowait = client.args.nowait
    if is_json(client):
        if nowait:
            facts = _submitted(client, task_id, request, answer)
            print_event("submitted", task_id=task_id, url=facts.url, nvr=facts.nvr, average=facts.average)
        return task_id
    quiet = is_quiet(client)
    if not quiet or nowait:
        print_lines(f"Created task: {task_id}")
    if not quiet:
        page = _task_page(client, task_id)
        print_lines(
            *([f"Task info: {page}"] if page else []), *([follow_up_commands(client, task_id)] if nowait else [])
        )
    return task_id


def _check_task_info(name: str) -> None:
    """Refuse a place for ``--task-info`` before anything is submitted.

    :raises UsageError: no file can be written there
    """
    from pathlib import Path

    from fedpkg_container.errors import UsageError
    from fedpkg_container.files import check_writable

    try:
        check_writable(Path(name))
    except OSError as error:
        raise UsageError(
            f"argument --task-info: {name} cannot be written: {error.strerror}", solution="name another place"
        ) from error


def _write_task_info(client: Any, task_id: int, request: BuildRequest, answer: Preflight) -> None:
    """Write ``--task-info``: whole, or not at all.

    :raises UsageError: it cannot be written; the task goes on
    """
    import json
    from pathlib import Path

    from fedpkg_container.errors import UsageError
    from fedpkg_container.files import write_atomically

    info = {
        "task_id": task_id,
        "url": _task_page(client, task_id),
        "nvr": None if answer.release_is_next else answer.nvr or None,
        "source": request.source,
        "target": request.target,
        "options": dict(request.options),
        "priority": request.priority,
    }
    try:
        write_atomically(Path(client.args.task_info), json.dumps(info, indent=4) + "\n")
    except OSError as error:
        raise UsageError(
            f"{client.args.task_info} cannot be written: {error.strerror}; task {task_id} goes on",
            solution=f"watch it with: {client.name} container-status --watch {task_id}",
        ) from error


def _task_page(client: Any, task_id: int) -> str:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import addresses

    return addresses(koji_profile(client)).task(task_id)
