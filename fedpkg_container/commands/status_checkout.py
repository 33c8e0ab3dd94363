# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of ``container-status`` for the checkout, and for the user's own builds (``--mine``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import print_json, print_lines
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.nvr import COMPONENT_LABEL, label_value
from fedpkg_container.text import pluralize, printable_line

if TYPE_CHECKING:
    import git

    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.builds import Build, Overview, RequestedBuild
    from fedpkg_container.hub.protocol import HubSession

#: Builds to show per branch.
BUILDS_PER_BRANCH = 3


def show_checkout(client: Client, session: HubSession) -> int:
    """Print the builds of the checkout and return the exit status."""
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.builds import overview

    checkout = Checkout.read(client.cmd)
    component = _component(checkout)
    builds = overview(session, component, f"{checkout.namespace}/{checkout.name}")
    head = _head(client.cmd.repo, checkout, builds.builds)
    if client.args.json:
        print_json({"component": component, "head": head, **dataclasses.asdict(builds)})
        return 0
    print_lines(*_lines(component, builds, head))
    return 0


def checkout_component(client: Client) -> dict[str, str]:
    """Return the name of the checkout's package in Koji, by its repository (``container/hello``).

    :raises CheckoutError: if the directory is not a checkout
    """
    from fedpkg_container.distgit.checkout import Checkout

    checkout = Checkout.read(client.cmd)
    return {f"{checkout.namespace}/{checkout.name}": _component(checkout)}


def running_task(client: Client, session: HubSession) -> int:
    """Return the ID of the task that is building the checkout.

    :raises RefusedError: if there is none
    """
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.builds import overview

    checkout = Checkout.read(client.cmd)
    repository = f"{checkout.namespace}/{checkout.name}"
    running = overview(session, _component(checkout), repository).running
    if not running:
        raise RefusedError(f"no build of {repository} is running", solution="pass a task ID")
    return running[0].tasks[0].id


def _component(checkout: Checkout) -> str:
    """Return the package name: the component label of the Dockerfile, or ``NAME-container``."""
    from fedpkg_container.distgit.dockerfile import Dockerfile

    try:
        labels = Dockerfile.read(checkout.path).labels
    except RefusedError:
        labels = {}
    return printable_line(label_value(labels, COMPONENT_LABEL) or f"{checkout.name}-container")


def _head(repository: git.Repo, checkout: Checkout, builds: Sequence[Build]) -> Mapping[str, object]:
    """Return the build of HEAD, or the nearest build with its distance in commits, as JSON fields."""
    from fedpkg_container.distgit.checkout import ahead_behind

    nearest: tuple[int, int, Build] | None = None
    for build in builds:
        if build.state != "COMPLETE":
            continue
        commits = ahead_behind(repository, build.commit)
        if commits is not None and (nearest is None or sum(commits) < sum(nearest[:2])):
            nearest = (*commits, build)
    if nearest is None:
        return {"commit": checkout.commit, "nvr": None, "ahead": None, "behind": None}
    return {"commit": checkout.commit, "nvr": nearest[2].nvr, "ahead": nearest[0], "behind": nearest[1]}


def _head_line(head: Mapping[str, Any], running: Sequence[RequestedBuild]) -> str:
    nvr, ahead, behind = head["nvr"], head["ahead"], head["behind"]
    if nvr is not None and not ahead and not behind:
        return f"HEAD has been built: {nvr}"
    commits = {build.source.rpartition("#")[2]: build for build in running if not build.scratch}
    if build := commits.get(head["commit"]):
        return f"HEAD is being built by task {build.tasks[0].id}"
    if nvr is None:
        return "HEAD has not been built, nor any earlier commit"
    distances = ((ahead, "ahead of"), (behind, "behind"))
    parts = [f"{pluralize(count, 'commit')} {where}" for count, where in distances if count]
    return f"HEAD is {' and '.join(parts)} {nvr}"


def _lines(component: str, overview: Overview, head: Mapping[str, object]) -> Iterator[str]:
    yield f"{component}: {_head_line(head, overview.running)}"
    for running in overview.running:
        yield ""
        yield from _running(running, overview.average)
    branches: dict[str, list[Build]] = {}
    for build in overview.builds:
        branches.setdefault(build.branch or "unknown branch", []).append(build)
    for branch, builds in sorted(branches.items(), key=lambda item: not item[1][0].branch):
        yield ""
        yield branch
        for build in builds[:BUILDS_PER_BRANCH]:
            yield from _build(build)
        if len(builds) > BUILDS_PER_BRANCH:
            yield f"    … {len(builds) - BUILDS_PER_BRANCH} older"
    if not overview.builds:
        yield "no builds yet"


def _build(build: Build) -> Iterator[str]:
    from fedpkg_container.progress.formatting import format_age

    timestamp = build.completed if build.completed is not None else build.created
    age = f", {format_age(timestamp)}" if timestamp is not None else ""
    tags = f", in {', '.join(build.tags)}" if build.tags else ""
    isolated = " (isolated)" if build.is_isolated else ""
    task = f", task {build.task_id}" if build.state != "COMPLETE" and build.task_id else ""
    yield f"    {build.nvr}{isolated}  {build.state.lower()}{age}, by {build.owner}{tags}{task}"
    if build.pull_specs:
        yield f"        {build.pull_specs[0]}"


def _running(running: RequestedBuild, average: float | None) -> Iterator[str]:
    import time

    from fedpkg_container.commands.status_task import tree_lines
    from fedpkg_container.progress.formatting import format_percentage
    from fedpkg_container.text import format_duration

    kind = "scratch build" if running.scratch else "build"
    started = running.tasks[0].started
    progress = ""
    if average and started is not None:
        percentage = format_percentage(time.time() - started, average)
        progress = f", {f'{percentage} of' if percentage else 'above'} the average of {format_duration(average)}"
    commit = running.source.rpartition("#")[2][:12]
    yield f"running: {kind} of {running.branch or commit} ({commit}), by {running.owner}{progress}"
    yield from tree_lines(running.tasks, indent="    ")


def show_my_builds(client: Client, session: HubSession) -> int:
    """Print the user's own container builds and return the exit status."""
    from fedpkg_container.hub.builds import builds_of_user
    from fedpkg_container.progress.formatting import format_age
    from fedpkg_container.progress.plain import state_text

    running, ended = builds_of_user(session, session.getLoggedInUser())
    if client.args.json:
        groups = {"running": running, "ended": ended}
        print_json({name: [dataclasses.asdict(build) for build in builds] for name, builds in groups.items()})
        return 0
    for build in running:
        print_lines(*_running(build, None))
    for build in ended:
        task = build.tasks[0]
        age = f", {format_age(task.completed)}" if task.completed is not None else ""
        repository = build.source.partition("#")[0].rpartition("://")[2].partition("/")[2]
        kind = "scratch build" if build.scratch else "build"
        print_lines(f"task {task.id}: {kind} of {repository} {state_text(task.state)}{age}")
    if not running and not ended:
        print_lines("you have no container builds")
    return 0
