# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of ``container-status`` for a build: its contents, RPMs, and changes since another build."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fedpkg_container.commands.terminal import print_lines

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.hub.build_contents import Contents, Difference
    from fedpkg_container.hub.builds import Build
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.model.koji_types import BuildInfo


def show_build(client: Client, session: HubSession, info: BuildInfo) -> Mapping[str, object]:
    """Print a build, unless ``--json`` is set, and return its fields.

    :param info: result of ``getBuild``
    :raises RefusedError: if the build to compare with does not exist
    """
    from fedpkg_container.hub.build_contents import difference, read_contents
    from fedpkg_container.hub.builds import find_build

    arguments = client.args
    contents = read_contents(session, info)
    fields: dict[str, Any] = {**dataclasses.asdict(contents), "rpms": list(contents.rpms)}
    if arguments.diff:
        before = read_contents(session, find_build(session, arguments.diff))
        changes = difference(before, contents)
        if arguments.json:
            return {"from": before.build.nvr, "to": contents.build.nvr, **dataclasses.asdict(changes)}
        lines = _difference(before, contents, changes)
    elif arguments.rpms:
        lines = iter(contents.rpms)
    else:
        lines = _build(client, contents)
    if not arguments.json:
        print_lines(*lines)
    return fields


def _build(client: Client, contents: Contents) -> Iterator[str]:
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.session import site_urls

    build = contents.build
    yield f"{build.nvr}  {build.state.lower()}"
    yield from _ended(build)
    if build.task_id:
        page = site_urls(koji_profile(client)).task(build.task_id)
        yield f"  task     {build.task_id}{'  ' + page if page else ''}"
        if build.state == "FAILED":
            yield f"  logs     {client.name} container-status {build.task_id} --logs"
    if build.branch:
        yield f"  branch   {build.branch}"
    yield f"  source   {build.source or 'unknown'}"
    yield f"  tags     {' '.join(build.tags) or 'none'}"
    for number, pull_spec in enumerate(build.pull_specs):
        yield f"  {'pull' if number == 0 else '':<8} {pull_spec}"
    for image in contents.images:
        pull_spec = image.pull_specs[-1] if image.pull_specs else ""
        yield f"  {image.arch:<8} {pull_spec}  {megabytes(image.size)}, {len(image.rpms)} RPMs known to Koji"
    for parent in contents.parents:
        newer = "" if parent.is_newest else f"; a newer build exists: {parent.newest}"
        yield f"  {'parent' if parent.is_base else 'stage':<8} {parent.nvr}{newer}"
    if not contents.parents and build.state == "COMPLETE":
        yield "  parent   none built in this Koji"


#: State of a build that was not built → the word for its end.
_ENDS = {"FAILED": "failed", "CANCELED": "canceled"}


def _ended(build: Build) -> Iterator[str]:
    """Yield when a build ended, and how long it took."""
    from fedpkg_container.progress.formatting import format_age
    from fedpkg_container.text import format_duration

    if build.completed is not None:
        took = f", in {format_duration(build.completed - build.created)}" if build.created is not None else ""
        yield f"  {_ENDS.get(build.state, 'built'):<8} {format_age(build.completed)}{took}, by {build.owner}"


def _difference(before: Contents, after: Contents, changes: Difference) -> Iterator[str]:
    yield f"from {before.build.nvr} to {after.build.nvr}"
    unchanged = True
    for name, (old, new) in changes.upgraded.items():
        unchanged = False
        yield f"  ~ {name} {old} → {new}"
    for mark, names in (("+", changes.added), ("-", changes.removed)):
        for name in names:
            unchanged = False
            yield f"  {mark} {name}"
    for name, (old, new) in changes.labels.items():
        unchanged = False
        yield f"  label {name}: {old or '(not set)'} → {new or '(not set)'}"
    if changes.parents[0] != changes.parents[1]:
        unchanged = False
        yield f"  parents: {' '.join(changes.parents[0]) or 'none'} → {' '.join(changes.parents[1]) or 'none'}"
    if unchanged:
        yield "  no changes in RPMs, labels and parents"
    for arch, (old_size, new_size) in changes.sizes.items():
        yield f"  size of {arch}: {megabytes(old_size)} → {megabytes(new_size)} ({(new_size - old_size) / 1e6:+.1f} MB)"


def megabytes(size: int) -> str:
    """Format a number of bytes in MB."""
    return f"{size / 1e6:.1f} MB"
