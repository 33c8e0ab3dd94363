# SPDX-License-Identifier: GPL-2.0-or-later
"""The request of a build and its checks, before anything is submitted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.commands.build_arguments import flatten
from fedpkg_container.commands.hub_checks import HubChecks, hub_session
from fedpkg_container.commands.option_checks import check_options
from fedpkg_container.commands.terminal import print_stderr

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.distgit.dockerfile import Dockerfile
    from fedpkg_container.hub.builds import Build
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.model.build import BuildRequest, Preflight
    from fedpkg_container.model.findings import Finding
    from fedpkg_container.model.options import BuildOptions
    from fedpkg_container.progress.outcome import Outcome


@dataclass(frozen=True)
class CheckedBuild:
    """A build that was checked and can be submitted.

    :param name: repository, to be displayed if the NVR is not known
    :param session: None with ``--offline``
    :param findings: remaining findings (warnings and notes)
    :param existing: a complete build of the same commit, if one was searched for and found
    :param base: base image as written in FROM; empty if there is none, or if it is unknown
    """

    name: str
    request: BuildRequest
    session: HubSession | None
    preflight: Preflight
    findings: Sequence[Finding]
    existing: Build | None = None
    base: str = ""


def check_head(client: Client, outcome: Outcome) -> CheckedBuild:
    """Check the build of HEAD."""
    from fedpkg_container.distgit.checkout import Checkout

    checkout = Checkout.read(client.cmd)
    if client.args.release:
        branch = checkout.branch
        print_stderr(f"note: --release {branch}: the build fails if branch {branch} does not contain this commit")
    return check_checkout(client, checkout, outcome, target=client.args.target)


def check_checkout(
    client: Client,
    checkout: Checkout,
    outcome: Outcome,
    *,
    target: str | None,
    session: HubSession | None = None,
    reported: Collection[Finding] = (),
) -> CheckedBuild:
    """Check the build of a checkout.

    :param target: build target; None for that of the branch
    :param session: session to use; None to make one
    :param reported: findings that were displayed before
    :raises RefusedError: if a check found an error; with all findings
    """
    request = _request(client, checkout, target)
    _log_request(request)
    outcome.note_request(request)
    build = _check(client, checkout, request, session, reported)
    outcome.note_request(request, build.findings)
    return build


def check_retry(client: Client, outcome: Outcome) -> CheckedBuild:
    """Check the build of the task of ``--retry``, without a checkout."""
    from fedpkg_container.commands.findings import apply_overrides, raise_on_errors, report_findings
    from fedpkg_container.hub.earlier import read_request
    from fedpkg_container.hub.preflight import preflight
    from fedpkg_container.hub.session import hub_errors
    from fedpkg_container.model.options import repository_path

    arguments, session = client.args, hub_session(client)
    with hub_errors(session.baseurl):
        request = read_request(session, arguments.retry)
        _log_request(request)
        outcome.note_request(request)
        result = preflight(session, request, {})
    findings = [*check_options(request), *result.findings]
    findings = apply_overrides(findings, skip=arguments.skip_check, strict=arguments.strict)
    raise_on_errors(findings)
    report_findings(client, findings)
    outcome.note_request(request, findings)
    return CheckedBuild(repository_path(request.source), request, session, result, findings)


def _log_request(request: BuildRequest) -> None:
    import logging

    from fedpkg_container.redaction import redact_message, redact_url

    options = redact_message(str({name: value for name, value in request.options.items() if name != "userdata"}))
    source, _, commit = request.source.partition("#")
    _log = logging.getLogger(__name__)
    _log.info("build request: %s at %s for target %s, options %s", redact_url(source), commit, request.target, options)


def _request(client: Client, checkout: Checkout, target: str | None) -> BuildRequest:
    from fedpkg_container.model.build import BACKGROUND, BuildRequest
    from fedpkg_container.model.options import without_none

    arguments = client.args
    if target:
        client.cmd.target = target
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
        target=client.cmd.target if target else default_target,
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
    client: Client,
    checkout: Checkout,
    request: BuildRequest,
    session: HubSession | None,
    reported: Collection[Finding],
) -> CheckedBuild:
    """Check the files and the state of the hub before the submission."""
    from fedpkg_container.commands.findings import apply_overrides, raise_on_errors, report_findings
    from fedpkg_container.distgit import file_rules, rules
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.model.build import Preflight
    from fedpkg_container.model.findings import ERROR, Finding

    arguments = client.args
    hub = None if arguments.offline else HubChecks(client, request, session)
    dockerfile, _ = file_rules.read(checkout.path)
    if dockerfile is not None and hub is not None:
        dockerfile = hub.read_parents(dockerfile)
    file_findings = _check_files(client, checkout, dockerfile)
    if not request.target:
        solution = "switch to a branch, or pass --target"
        raise_on_errors(
            [*file_findings, Finding("target", ERROR, "unknown target: the checkout is not on a branch", solution)]
        )
    preflight, existing, note = Preflight([]), None, ""
    file_findings += check_options(request)
    try:
        if hub is not None:
            preflight = hub.preflight(checkout, dockerfile)
            if dockerfile is not None:
                file_findings += rules.check_architectures(checkout, dockerfile, preflight.arches)
            existing = hub.existing_build(preflight)
    except FedpkgContainerError as error:
        if not any(finding.severity == ERROR for finding in apply_overrides(file_findings, skip=arguments.skip_check)):
            raise
        note = f"checks of the hub skipped: {error.reason}"
    findings = [*file_findings, *preflight.findings]
    if arguments.if_needed and (existing or preflight.running):
        findings = file_findings  # nothing is submitted
    elif arguments.dry_run and hub is not None:
        from fedpkg_container.commands import dry_run

        content = dry_run.check_content(request, dockerfile, preflight)
        findings += [finding for finding in content if not (arguments.chain and finding.code == "parent-missing")]
        findings += _head_built(existing)
    findings = apply_overrides(findings, skip=arguments.skip_check, strict=arguments.strict)
    raise_on_errors(findings, note=note)
    report_findings(client, [finding for finding in findings if finding not in reported])
    name, base = f"{checkout.namespace}/{checkout.name}", dockerfile.base if dockerfile else ""
    return CheckedBuild(name, request, hub.session if hub else None, preflight, findings, existing, base)


def _head_built(existing: Build | None) -> Sequence[Finding]:
    from fedpkg_container.model.findings import NOTE, Finding

    if existing is None:
        return []
    message = f"HEAD is already built: {existing.nvr} (build {existing.id})"
    return [Finding("head-built", NOTE, message, "use --if-needed to build only if necessary")]


def _check_files(client: Client, checkout: Checkout, dockerfile: Dockerfile | None) -> list[Finding]:
    """Return the findings about the files of the checkout.

    :param dockerfile: None if it cannot be read
    """
    from fedpkg_container.distgit import rules

    findings = rules.check(checkout, local=client.args.local, dockerfile=dockerfile)
    is_own = checkout.path == Path(client.cmd.path).absolute()
    return [*findings, *(gating_findings(client) if is_own else ())]


def gating_findings(client: Client) -> Sequence[Finding]:
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
