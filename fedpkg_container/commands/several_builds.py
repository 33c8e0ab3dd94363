# SPDX-License-Identifier: GPL-2.0-or-later
"""Several builds with one command: for several targets, or of images based on each other (``--chain``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.commands.build_checks import CheckedBuild, check_checkout
from fedpkg_container.commands.container_build import (
    print_request,
    report_existing,
    report_submission,
    submit_build,
    wait_for_repository,
)
from fedpkg_container.commands.hub_checks import hub_session
from fedpkg_container.commands.terminal import is_json, is_quiet, print_lines, print_stderr
from fedpkg_container.errors import (
    FedpkgContainerError,
    LostContactError,
    NotAuthenticatedError,
    StillRunningError,
    UsageError,
)

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.events import Finished
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.model.findings import Finding
    from fedpkg_container.progress.outcome import Outcome


@dataclass(frozen=True)
class _Plan:
    """A build to be checked: a checkout, and its target (None for that of the branch)."""

    checkout: Checkout
    target: str | None


@dataclass(frozen=True)
class _Build:
    """A checked build, and its outcome."""

    checked: CheckedBuild
    outcome: Outcome

    @property
    def title(self) -> str:
        """Name for display."""
        return self.checked.preflight.nvr or f"{self.checked.name} for {self.checked.request.target}"


def run_several(client: Client) -> int:
    """Build for each of several targets, or a chain of packages; return the exit status.

    All builds are checked before the first one is submitted.

    :raises FedpkgContainerError: if a check found an error, or the hub did not respond
    """
    from tempfile import TemporaryDirectory

    from fedpkg_container.commands.metadata_file import recorded_outcomes
    from fedpkg_container.distgit.checkout import Checkout

    checkout, arguments = Checkout.read(client.cmd), client.args
    with recorded_outcomes(client) as outcomes, TemporaryDirectory(prefix="fedpkg-container-") as clones:
        if arguments.chain:
            groups = _chain(client, checkout, Path(clones))
        else:
            groups = [[_Plan(checkout, target) for target in arguments.targets]]
        session = hub_session(client)
        builds = [list(_check_group(client, session, group, outcomes)) for group in groups]
        if arguments.dry_run:
            for build in (build for group in builds for build in group):
                print_request(client, build.checked.request, build.checked.preflight)
            return 0
        if arguments.wait_repo is not None:
            wait_for_repository(client, builds[0][0].checked)
        return _run_groups(client, session, builds)


def parse_chain(words: Sequence[str], checkout_package: str) -> list[list[str]]:
    """Parse the value of ``--chain``, which has the format of ``fedpkg chain-build``.

    Colons separate groups of packages that are built in parallel; without a colon, each package is a group. The package
    of the checkout, an empty text in the result, is added to the last group.

    :raises UsageError: if there is no package, or the package of the checkout is among them
    """
    groups: list[list[str]] = [[]]
    for word in words:
        if word == ":":
            groups.append([])
        else:
            groups[-1].append(word)
    names = [name for group in groups for name in group]
    if not names or not all(name.strip("/") for name in names):
        raise UsageError("argument --chain: no package", solution="pass the packages to build before this one")
    if checkout_package in (name.rpartition("/")[2] for name in names):
        solution = "omit it: it is built last"
        raise UsageError(f"argument --chain: {checkout_package} is the package of this checkout", solution=solution)
    if ":" not in words:
        groups = [[name] for name in names] + [[]]
    groups[-1].append("")
    return [group for group in groups if group]


def _chain(client: Client, checkout: Checkout, clones: Path) -> list[list[_Plan]]:
    """Clone the packages of ``--chain``."""
    plans: list[list[_Plan]] = []
    for number, group in enumerate(parse_chain(client.args.chain, checkout.name)):
        plans.append([])
        for position, name in enumerate(group):
            source = checkout
            if name:
                source = checkout.clone_other(client.cmd, name, clones / f"{number}-{position}")
            plans[-1].append(_Plan(source, client.args.target))
    return plans


def _check_group(
    client: Client, session: HubSession, group: Sequence[_Plan], outcomes: list[Outcome]
) -> Iterator[_Build]:
    from fedpkg_container.progress.outcome import Outcome

    reported: list[Finding] = []
    for plan in group:
        outcomes.append(Outcome())
        try:
            checked = check_checkout(
                client, plan.checkout, outcomes[-1], target=plan.target, session=session, reported=reported
            )
        except FedpkgContainerError as error:
            what = f" for {plan.target}" if plan.target else ""
            error.reason = f"{plan.checkout.namespace}/{plan.checkout.name}{what}: {error.reason}"
            raise
        reported += checked.findings
        yield _Build(checked, outcomes[-1])


def _run_groups(client: Client, session: HubSession, groups: Sequence[Sequence[_Build]]) -> int:
    """Submit the groups one after another, each when the previous one has been built."""
    parents: dict[str, str] = {}
    for number, group in enumerate(groups):
        for build in group:
            if client.args.if_needed and (existing := build.checked.existing):
                build.outcome.note_status(report_existing(client, existing, build.outcome))
                parents |= _parent(existing.pull_specs, existing.nvr)
        needed = [_with_parent(client, build, parents) for build in group if not _is_complete(build)]
        status, finished = _run_group(client, session, needed) if needed else (0, [])
        if status:
            rest = [build.title for later in groups[number + 1 :] for build in later]
            if rest:
                print_stderr(f"not built: {', '.join(rest)}")
            return status
        for event in finished:
            if event.builds:
                parents |= _parent(event.result.pull_specs, event.builds[0]["nvr"])
    return 0


def _is_complete(build: _Build) -> bool:
    return build.outcome.fields()["exit_status"] is not None


def _parent(pull_specs: Sequence[str], nvr: str) -> Mapping[str, str]:
    """Return the image of a build, without tag and digest, and its NVR."""
    from fedpkg_container.model.reference import ImageReference

    image = ImageReference.parse(pull_specs[0]) if pull_specs else None
    return {f"{image.registry}/{image.repository}": nvr} if image else {}


def _with_parent(client: Client, build: _Build, parents: Mapping[str, str]) -> _Build:
    """Return a build that uses the build of its base image in this chain, if there is one."""
    from fedpkg_container.model.reference import ImageReference

    if not build.checked.base or not parents:
        return build
    base = ImageReference.parse(build.checked.base)
    nvr = parents.get(f"{base.registry}/{base.repository}")
    if nvr is None:
        return build
    if not is_quiet(client) and not is_json(client):
        print_lines(f"{build.title}: using {nvr} as base image")
    request = build.checked.request
    request = replace(request, options={**request.options, "koji_parent_build": nvr})
    build.outcome.note_request(request, build.checked.findings)
    return replace(build, checked=replace(build.checked, request=request))


def _run_group(client: Client, session: HubSession, group: Sequence[_Build]) -> tuple[int, list[Finished]]:
    """Submit builds and follow them to their ends; return the exit status and the final events."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.commands.following import EXIT_INTERRUPTED, EXIT_STATUSES, submitted_task
    from fedpkg_container.commands.following_several import handle_interrupt, watch_several
    from fedpkg_container.hub.session import site_urls
    from fedpkg_container.progress.failure import Failure, LogTails
    from fedpkg_container.signals import Interrupted, defer_signals

    builds: dict[int, _Build] = {}
    finished: dict[int, Finished] = {}
    with defer_signals() as pending:
        for build in group:
            running = build.checked.preflight.running if client.args.if_needed else None
            if running is not None:
                print_stderr(f"{build.title}: already being built by task {running}")
                builds[running] = build
            elif not pending.interrupted:
                task_id = submit_build(build.checked)
                builds[task_id] = build
                with submitted_task(client, task_id) as note_printed:
                    submitted = report_submission(client, task_id, build.checked, note_printed)
                build.outcome.note_task(task_id, submitted.url, submitted.nvr)
        if not builds:
            raise Interrupted
        if client.args.nowait:
            if pending.interrupted:
                handle_interrupt(client, session, list(builds))
                return EXIT_INTERRUPTED, []
            for build in group:
                build.outcome.note_status(0)
            return 0, []
        titles = {task_id: build.title for task_id, build in builds.items()}
        try:
            status = watch_several(client, session, titles, finished, pending=pending)
        except (LostContactError, NotAuthenticatedError) as error:
            raise StillRunningError(error.reason, solution=error.solution) from error
        finally:
            addresses = site_urls(koji_profile(client))
            for task_id, event in finished.items():
                builds[task_id].outcome.note_end(event, Failure.of(event, LogTails(), addresses, titles[task_id]))
                builds[task_id].outcome.note_status(EXIT_STATUSES[event.task.state])
    return status, list(finished.values())
