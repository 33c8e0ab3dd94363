"""``fedpkg container-build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.build_arguments import add_arguments, check_usage, flat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.preflight import Preflight
    from fedpkg_container.model.finding import Finding
    from fedpkg_container.model.request import BuildRequest

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
    from fedpkg_container.commands.following import follow_to_end, interrupted
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.events import Submitted
    from fedpkg_container.signals import deferred

    arguments = client.args
    checkout = Checkout.read(client.cmd)
    request = _request(client, checkout)
    session, answer, findings = _check(client, checkout, request)
    if arguments.dry_run:
        _say_request(request, answer)
        return 0
    with deferred() as pending:
        task_id = _submit(client, session, request, answer)
    if pending.interrupted:
        return interrupted(client, session, task_id)
    if arguments.nowait:
        return 0
    nvr = "" if answer.release_is_next else answer.nvr
    title = answer.nvr or f"{checkout.namespace}/{checkout.name}{' (scratch)' if request.scratch else ''}"
    submitted = Submitted(task_id, _task_page(client, task_id), nvr, answer.average, title)
    return follow_to_end(client, session, submitted, warnings=tuple(str(finding) for finding in findings))


def _request(client: Any, checkout: Checkout) -> BuildRequest:
    from fedpkg_container.model.request import BACKGROUND, BuildRequest

    arguments = client.args
    if arguments.target:
        client.cmd.target = arguments.target
    arches = flat(arguments.arches)
    options = {
        "scratch": arguments.scratch or None,
        "isolated": arguments.isolated or None,
        "release": arguments.build_release,
        "koji_parent_build": arguments.koji_parent_build,
        "yum_repourls": flat(arguments.repo_url),
        "git_branch": checkout.branch,
        "signing_intent": arguments.signing_intent,
        "compose_ids": flat(arguments.compose_ids),
        "skip_build": arguments.skip_build or None,
        "dependency_replacements": flat(arguments.replace_dependency),
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
    from fedpkg_container.commands.findings import refuse, tell, weighed
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.preflight import Preflight
    from fedpkg_container.model.finding import ERROR

    arguments = client.args
    found, labels = _check_files(client, checkout)
    session, answer, note = None, Preflight([]), ""
    try:
        if not arguments.offline and request.target:
            session, answer = _ask_hub(client, checkout, request, labels)
    except FedpkgContainerError as error:
        if not any(finding.severity == ERROR for finding in weighed(found, skip=arguments.skip_check)):
            raise
        note = f"the hub was not asked: {error.reason}"
    findings = weighed([*found, *answer.findings], skip=arguments.skip_check, strict=arguments.strict)
    refuse(findings, note=note)
    tell(client, findings)
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
    from pyrpkg.errors import rpkgError

    from fedpkg_container.model.finding import ERROR, Finding

    try:
        client.check_remote_rules_gating()
    except rpkgError as error:
        solution = "mend it, or build with --skip-remote-rules-validation"
        return [Finding("gating", ERROR, f"gating.yaml: {error}", solution, "gating.yaml")]
    return []


def _ask_hub(
    client: Any, checkout: Checkout, request: BuildRequest, labels: Mapping[str, str]
) -> tuple[Any, Preflight]:
    from fedpkg_container.commands.site import koji_profile
    from fedpkg_container.distgit.container_yaml import ContainerYaml
    from fedpkg_container.hub.preflight import preflight
    from fedpkg_container.hub.session import anonymous, connect, contact

    profile = koji_profile(client)
    session = anonymous(profile) if client.args.dry_run else connect(profile, client.cmd)
    with contact(session.baseurl):
        return session, preflight(session, request, labels, ContainerYaml.read(checkout.path).platforms)


def _say_request(request: BuildRequest, answer: Preflight) -> None:
    what = f" of {answer.nvr}" if answer.nvr else ""
    kind = "scratch build" if request.scratch else "build"
    lines = [f"dry run: would submit a {kind}{what}"]
    if answer.release_is_next and answer.nvr:
        lines.append("    (the hub's next release now; another build may take it first)")
    lines += [f"    source = {request.source}", f"    target = {request.target or 'not known'}"]
    if answer.arches:
        lines.append(f"    arches = {' '.join(answer.arches)}")
    if request.priority is not None:
        lines.append(f"    priority = +{request.priority}")
    lines += [f"    {name} = {value}" for name, value in sorted(request.options.items())]
    print("\n".join(lines), flush=True)


def _submit(client: Any, session: Any, request: BuildRequest, answer: Preflight) -> int:
    """Submit, and say so; the task's id."""
    from fedpkg_container.commands.following import progress_kind, ways_on
    from fedpkg_container.hub.session import contact
    from fedpkg_container.hub.submit import submit

    with contact(session.baseurl):
        task_id = submit(session, request, newest=answer.newest)
    if client.args.task_info:
        _write_task_info(client, task_id, request, answer)
    kind = progress_kind(client)
    if kind == "json" and not client.args.nowait:
        return task_id
    if kind != "quiet" or client.args.nowait:
        print(f"Created task: {task_id}", flush=True)
        if page := _task_page(client, task_id):
            print(f"Task info: {page}", flush=True)
    if client.args.nowait and kind != "quiet":
        print(ways_on(client, task_id), flush=True)
    return task_id


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
    from fedpkg_container.commands.site import koji_profile
    from fedpkg_container.hub.session import addresses

    return addresses(koji_profile(client)).task(task_id)
