# SPDX-License-Identifier: GPL-2.0-or-later
"""Views of ``container-status`` that list builds: of the checkout, of a package, and of the user (``--mine``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands import status_fields
from fedpkg_container.commands.status_view import View
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.nvr import COMPONENT_LABEL, label_value
from fedpkg_container.text import pluralize, printable_line

if TYPE_CHECKING:
    import git

    from fedpkg_container.client import Client
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.builds import Build
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.hub.requested_builds import RequestedBuild
    from fedpkg_container.hub.selection import Overview, Selection
    from fedpkg_container.progress.look import Page


def checkout_view(client: Client, session: HubSession, selection: Selection) -> View:
    """Return the builds of the checkout."""
    from fedpkg_container.distgit.checkout import Checkout
    from fedpkg_container.hub.overview import overview
    from fedpkg_container.hub.selection import ALL

    checkout = Checkout.read(client.cmd)
    builds = overview(session, _component(checkout), f"{checkout.namespace}/{checkout.name}", selection)
    head = None if selection != ALL else _head(client.cmd.repo, checkout, builds.builds)
    return package_view(client, builds, selection, head)


def package_view(
    client: Client, overview: Overview, selection: Selection, head: Mapping[str, object] | None = None
) -> View:
    """Return the builds of a package.

    :param head: JSON of the state of the checkout's HEAD; None without a checkout, or if options select builds
    """
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import site_urls

    fields = status_fields.package(overview, head, site_urls(koji_profile(client)))

    def lines(page: Page) -> list[str]:
        from fedpkg_container.commands.status_lists import BUILDS_PER_BRANCH, package_lines, unsearched_lines

        all_builds = selection.is_filter or selection.limit is not None
        state = _head_line(head, overview.running) if head is not None else ""
        empty = "no such builds" if selection.is_filter else "no builds yet"
        per_branch = None if all_builds else BUILDS_PER_BRANCH
        lines = package_lines(page, overview, head=state, per_branch=per_branch, empty=empty)
        return [*lines, *unsearched_lines(page, overview.searched, selection)]

    return View(fields, [*fields["running"], *fields["builds"]], lines)


def own_view(client: Client, session: HubSession, selection: Selection) -> View:
    """Return the user's own container builds."""
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.overview import builds_of_user
    from fedpkg_container.hub.session import site_urls

    running, ended, searched = builds_of_user(session, session.getLoggedInUser(), selection)
    running = () if selection.failed else running
    urls = site_urls(koji_profile(client))
    fields = status_fields.view(
        "mine",
        running=[status_fields.running(build, urls) for build in running],
        ended=[status_fields.entry(build, urls) for build in ended],
        searched_since=dataclasses.asdict(searched),
    )

    def lines(page: Page) -> list[str]:
        from fedpkg_container.commands.status_lists import own_lines, unsearched_lines

        return [*own_lines(page, running, ended), *unsearched_lines(page, searched, selection)]

    return View(fields, [*fields["running"], *fields["ended"]], lines)


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
    from fedpkg_container.hub.overview import overview

    checkout = Checkout.read(client.cmd)
    repository = f"{checkout.namespace}/{checkout.name}"
    running = overview(session, _component(checkout), repository).running
    if not running:
        raise RefusedError(f"no build of {repository} is running", solution="pass a task ID")
    return running[0].root.id


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
    commits = {build.commit: build for build in running if not build.scratch}
    if build := commits.get(head["commit"]):
        return f"HEAD is being built by task {build.root.id}"
    if nvr is None:
        return "HEAD has not been built, nor any earlier commit"
    distances = ((ahead, "ahead of"), (behind, "behind"))
    parts = [f"{pluralize(count, 'commit')} {where}" for count, where in distances if count]
    return f"HEAD is {' and '.join(parts)} {nvr}"
