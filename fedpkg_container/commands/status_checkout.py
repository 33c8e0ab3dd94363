"""What ``container-status`` shows of the checkout, and of one's own builds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import print_json, print_lines
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.nvr import COMPONENT, label
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.builds import Build, Overview, RequestedBuild

#: Builds of one branch that are shown.
PER_BRANCH = 3


def show_checkout(client: Any, session: Any) -> int:
    """Show the builds of the checkout; the exit status."""
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.builds import overview

    checkout = Checkout.read(client.cmd)
    component = _component(checkout)
    found = overview(session, component, f"{checkout.namespace}/{checkout.name}")
    head = _head(client.cmd.repo, checkout, found.builds)
    if client.args.json:
        print_json({"component": component, "head": head, **dataclasses.asdict(found)})
        return 0
    print_lines(*_lines(component, found, head))
    return 0


def checkout_component(client: Any) -> str:
    """The package of the checkout.

    :raises CheckoutError: there is no checkout here
    """
    from fedpkg_container.distgit.checkout import Checkout

    return _component(Checkout.read(client.cmd))


def running_task(client: Any, session: Any) -> int:
    """The task that builds the checkout now.

    :raises RefusedError: there is none
    """
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.builds import overview

    checkout = Checkout.read(client.cmd)
    repository = f"{checkout.namespace}/{checkout.name}"
    found = overview(session, _component(checkout), repository)
    if not found.running:
        raise RefusedError(f"nothing of {repository} is being built now", solution="name a task")
    return found.running[0].tasks[0].id


def _component(checkout: Checkout) -> str:
    """The package: what the Dockerfile says, else the usual name."""
    from fedpkg_container.distgit.dockerfile import Dockerfile

    try:
        labels = Dockerfile.read(checkout.path).labels
    except RefusedError:
        labels = {}
    return printable_line(label(labels, COMPONENT) or f"{checkout.name}-container")


def _head(repository: Any, checkout: Checkout, builds: Sequence[Build]) -> Mapping[str, Any]:
    """Where HEAD stands: its build, or the nearest one before it."""
    from fedpkg_container.distgit.checkout import distance

    nearest: tuple[int, int, Build] | None = None
    for build in builds:
        if build.state != "COMPLETE":
            continue
        between = distance(repository, build.commit)
        if between is not None and (nearest is None or sum(between) < sum(nearest[:2])):
            nearest = (*between, build)
    if nearest is None:
        return {"commit": checkout.commit, "nvr": None, "ahead": None, "behind": None}
    return {"commit": checkout.commit, "nvr": nearest[2].nvr, "ahead": nearest[0], "behind": nearest[1]}


def _head_line(head: Mapping[str, Any]) -> str:
    nvr, ahead, behind = head["nvr"], head["ahead"], head["behind"]
    if nvr is None:
        return "HEAD is not built, nor is anything before it"
    if not ahead and not behind:
        return f"HEAD is built: {nvr}"
    parts = [f"{count} commit{'s' if count > 1 else ''} {where}" for count, where in
             ((ahead, "ahead of"), (behind, "behind")) if count]  # fmt: skip
    return f"HEAD is {' and '.join(parts)} {nvr}"


def _lines(component: str, found: Overview, head: Mapping[str, Any]) -> Iterator[str]:
    yield f"{component}: {_head_line(head)}"
    for running in found.running:
        yield ""
        yield from _running(running, found.average)
    branches: dict[str, list[Build]] = {}
    for build in found.builds:
        branches.setdefault(build.branch or "of no known branch", []).append(build)
    for branch, builds in sorted(branches.items(), key=lambda each: not each[1][0].branch):
        yield ""
        yield branch
        for build in builds[:PER_BRANCH]:
            yield from _build(build)
        if len(builds) > PER_BRANCH:
            yield f"    … {len(builds) - PER_BRANCH} older"
    if not found.builds:
        yield "no builds yet"


def _build(build: Build) -> Iterator[str]:
    from fedpkg_container.progress.formatting import format_age

    when = build.completed if build.completed is not None else build.created
    age = f", {format_age(when)}" if when is not None else ""
    tags = f", in {' '.join(build.tags)}" if build.tags else ""
    isolated = " (isolated)" if build.is_isolated else ""
    yield f"    {build.nvr}{isolated}  {build.state.lower()}{age}, by {build.owner}{tags}"
    if build.pull_specs:
        yield f"        {build.pull_specs[0]}"


def _running(running: RequestedBuild, average: float | None) -> Iterator[str]:
    import time

    from fedpkg_container.commands.status_task import tree_lines
    from fedpkg_container.progress.formatting import format_percentage
    from fedpkg_container.text import format_duration

    kind = "scratch build" if running.scratch else "build"
    started = running.tasks[0].started
    how_far = ""
    if average and started is not None:
        part = format_percentage(time.time() - started, average)
        how_far = f", {f'{part} of' if part else 'longer than'} the usual {format_duration(average)}"
    commit = running.source.rpartition("#")[2][:12]
    yield f"building now: {kind} of {running.branch or commit} ({commit}), by {running.owner}{how_far}"
    yield from tree_lines(running.tasks, indent="    ")


def show_my_builds(client: Any, session: Any) -> int:
    """Show one's own container builds; the exit status."""
    from fedpkg_container.hub.builds import own
    from fedpkg_container.progress.formatting import format_age
    from fedpkg_container.progress.plain import STATE_NAMES

    running, past = own(session, session.getLoggedInUser())
    if client.args.json:
        facts = {"running": running, "ended": past}
        print_json({name: [dataclasses.asdict(each) for each in builds] for name, builds in facts.items()})
        return 0
    for each in running:
        print_lines(*_running(each, None))
    for each in past:
        task = each.tasks[0]
        when = f", {format_age(task.completed)}" if task.completed is not None else ""
        what = each.source.partition("#")[0].rpartition("://")[2].partition("/")[2]
        print_lines(
            f"task {task.id}: {'scratch build' if each.scratch else 'build'} of {what} {STATE_NAMES[task.state]}{when}"
        )
    if not running and not past:
        print_lines("no container builds of yours")
    return 0
