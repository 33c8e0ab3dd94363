"""``fedpkg container-build``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedpkg_container.hub.events import Finished
    from fedpkg_container.hub.preflight import Preflight
    from fedpkg_container.model.finding import Finding
    from fedpkg_container.model.request import BuildRequest

EPILOG = """exit status: 0 built, 1 failed, 2 wrong usage, 3 refused by a check, 4 not authenticated,
5 lost contact with the hub, 6 canceled, 130 interrupted (the build goes on)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what rpkg's ``container-build`` does not have."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    # A default would overwrite rpkg's global option of the same name, given before the command.
    parser.add_argument(
        "--dry-run", action="store_true", default=argparse.SUPPRESS, help="Check everything and submit nothing"
    )
    parser.add_argument(
        "--userdata", metavar="JSON", default=None, help="A JSON object that is recorded with the task as it is"
    )


def run(client: Any) -> int:
    """Check the checkout, submit, follow to the end.

    :param client: the site's client, with its arguments parsed
    :returns: exit status
    :raises FedpkgContainerError: see the exit statuses
    """
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.session import connect, contact
    from fedpkg_container.hub.submit import submit

    arguments = client.args
    _check_usage(client)
    client.check_remote_rules_gating()
    checkout = Checkout.read(client.cmd)
    request = _request(client, checkout)
    findings, labels = _check_files(checkout)
    _refuse(findings)
    session = connect(_kojiprofile(client), client.cmd)
    answer = _preflight(session, request, labels)
    findings += answer.findings
    _refuse(findings)
    for finding in [] if arguments.q else findings:
        print(finding, file=sys.stderr)
    if arguments.dry_run:
        _say(f"dry run: would submit {request.source}\nto target {request.target} with")
        for name, value in sorted(request.options.items()):
            _say(f"    {name} = {value}")
        return 0
    with contact(session.baseurl):
        task_id = submit(session, request, newest=answer.newest)
    if not arguments.q or arguments.nowait:
        _say(f"Created task: {task_id}")
        if weburl := _weburl(client):
            _say(f"Task info: {weburl}/taskinfo?taskID={task_id}")
        if answer.average:
            _say(f"earlier builds of this package took {answer.average:.0f} s on average")
    if arguments.nowait:
        _say(f"watch it with: koji watch-task {task_id}")
        return 0
    return _follow(session, task_id, quiet=arguments.q)


def _check_usage(client: Any) -> None:
    """Argument errors, in rpkg's words where it has them."""
    from fedpkg_container.model.names import nvr_part_problem

    arguments = client.args
    if arguments.isolated and not arguments.build_release:
        client.container_build_parser.error("missing --build-release: using --isolated requires --build-release option")
    if arguments.isolated and arguments.scratch:
        client.container_build_parser.error("argument --isolated: not allowed with argument --scratch")
    if arguments.compose_ids and arguments.signing_intent:
        client.container_build_parser.error("argument --compose-id: not allowed with argument --signing-intent")
    if arguments.build_release and (problem := nvr_part_problem(arguments.build_release)):
        client.container_build_parser.error(f"argument --build-release: {arguments.build_release!r} {problem}")
    if arguments.arches and not (arguments.scratch or arguments.isolated):
        client.container_build_parser.error("Cannot override arches for non-scratch and non-isolated builds")


def _flat(groups: Sequence[Sequence[Any]] | None) -> list[Any] | None:
    return [item for group in groups for item in group] if groups else None


def _request(client: Any, checkout: Any) -> BuildRequest:
    from fedpkg_container.model.request import BACKGROUND, BuildRequest

    arguments = client.args
    if arguments.target:
        client.cmd.target = arguments.target
    arches = _flat(arguments.arches)
    options = {
        "scratch": arguments.scratch or None,
        "isolated": arguments.isolated or None,
        "release": arguments.build_release,
        "koji_parent_build": arguments.koji_parent_build,
        "yum_repourls": _flat(arguments.repo_url),
        "git_branch": checkout.branch,
        "signing_intent": arguments.signing_intent,
        "compose_ids": _flat(arguments.compose_ids),
        "skip_build": arguments.skip_build or None,
        "dependency_replacements": _flat(arguments.replace_dependency),
        "arch_override": " ".join(arches) if arches else None,
        "userdata": _userdata(client),
    }
    return BuildRequest(
        source=checkout.source,
        target=client.cmd.target if arguments.target else client.cmd.container_build_target,
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


def _check_files(checkout: Any) -> tuple[list[Finding], dict[str, str]]:
    from fedpkg_container.distgit import rules
    from fedpkg_container.distgit.dockerfile import Dockerfile

    findings = rules.check(checkout)
    readable = all(finding.code != "no-dockerfile" for finding in findings)
    return findings, Dockerfile.read(checkout.path).labels if readable else {}


def _preflight(session: Any, request: BuildRequest, labels: dict[str, str]) -> Preflight:
    from fedpkg_container.hub.preflight import preflight
    from fedpkg_container.hub.session import contact

    with contact(session.baseurl):
        return preflight(session, request, labels)


def _refuse(findings: Sequence[Finding]) -> None:
    from fedpkg_container.errors import RefusedError
    from fedpkg_container.model.finding import ERROR

    errors = [finding for finding in findings if finding.severity == ERROR]
    if errors:
        number = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        raise RefusedError(f"not submitted: {number}", findings=[str(finding) for finding in findings])


def _follow(session: Any, task_id: int, *, quiet: bool) -> int:
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.events import Finished
    from fedpkg_container.hub.follow import follow
    from fedpkg_container.hub.session import contact
    from fedpkg_container.progress.plain import PlainRenderer
    from fedpkg_container.signals import Interrupted, interruptible

    render = PlainRenderer(_say, quiet=quiet)
    try:
        with interruptible(), contact(session.baseurl):
            for event in follow(session, task_id):
                render(event)
                if isinstance(event, Finished):
                    return _report(event)
    except Interrupted:
        print(
            f"\ninterrupted: task {task_id} goes on\n"
            f"    watch it:  koji watch-task {task_id}\n    cancel it: koji cancel {task_id}",
            file=sys.stderr,
        )
        return 130
    raise FedpkgContainerError(f"task {task_id} was not followed to its end")


def _report(event: Finished) -> int:
    """The end: what the packager came for; the exit status."""
    from fedpkg_container.errors import BuildFailedError, CanceledError
    from fedpkg_container.text import printable

    if event.task.state == "CANCELED":
        raise CanceledError(f"task {event.task.id} was canceled")
    if event.task.state == "FAILED":
        failed = event.failed or event.task
        raise BuildFailedError(f"the build failed: {event.fault}", solution=f"logs: koji download-logs {failed.id}")
    for warning in event.result.get("user_warnings", []):
        _say(f"warning: {printable(str(warning))}")
    for build in event.builds:
        _say(f"built {printable(build['nvr'])} (build {build['id']})")
    for specification in event.result.get("repositories", []):
        _say(f"    {printable(str(specification))}")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _kojiprofile(client: Any) -> str:
    """The koji profile: that of the section for container builds, else the site's."""
    section = f"{client.name}.container-build"
    if client.config.has_option(section, "kojiprofile"):
        return str(client.config.get(section, "kojiprofile"))
    return str(client.config.get(client.name, "kojiprofile"))


def _weburl(client: Any) -> str:
    from fedpkg_container.hub.session import profile_options

    return str(profile_options(_kojiprofile(client)).get("weburl") or "")
