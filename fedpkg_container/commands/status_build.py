# SPDX-License-Identifier: GPL-2.0-or-later
"""Views of ``container-status`` of a build: its contents, RPMs, and changes since another build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fedpkg_container.commands import status_fields
from fedpkg_container.commands.status_view import View
from fedpkg_container.text import printable_line

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.hub.build_contents import Contents, Difference
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.model.koji_types import BuildInfo
    from fedpkg_container.progress.look import Page, Row


def build_view(client: Client, session: HubSession, info: BuildInfo) -> View:
    """Return the view of a build.

    :param info: result of ``getBuild``
    :raises RefusedError: if the build to compare with does not exist
    """
    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.hub.build_contents import difference, read_contents
    from fedpkg_container.hub.builds import find_build
    from fedpkg_container.hub.session import site_urls

    arguments = client.args
    contents = read_contents(session, info)
    if arguments.diff:
        before = read_contents(session, find_build(session, arguments.diff))
        changes = difference(before, contents)
        return View(
            status_fields.difference(before, contents, changes),
            [],
            lambda _page: [printable_line(line) for line in _difference(before, contents, changes)],
        )
    fields = status_fields.build(contents, site_urls(koji_profile(client)))
    entry = {name: fields[name] for name in status_fields.ENTRY_FIELDS}
    if arguments.rpms:
        return View(fields, [entry], lambda _page: list(contents.rpms))
    return View(fields, [entry], lambda page: list(_lines(page, contents, str(fields["url"] or ""), client.name)))


def _lines(page: Page, contents: Contents, url: str, client: str) -> Iterator[str]:
    """Yield the text about a build: NVR and state, then the details."""
    from fedpkg_container.progress.formatting import format_age
    from fedpkg_container.progress.look import Cell, Row, state_cell

    build = contents.build
    ended = format_age(build.completed) if build.completed is not None else ""
    yield from page.lines(
        [
            Row(
                (Cell(build.nvr, "strong"), state_cell(build.state), *([Cell(ended)] if ended else [])),
                state=build.state,
            )
        ]
    )
    yield from page.table(_rows(contents, url))
    if build.state == "FAILED" and build.task_id:
        yield ""
        yield f"logs: {client} container-status {build.task_id} --logs --failed"


def _rows(contents: Contents, url: str) -> Iterator[Row]:
    from fedpkg_container.progress.look import Cell, Row
    from fedpkg_container.text import format_duration

    build = contents.build

    def row(name: str, *texts: str) -> Row:
        return Row((Cell(name, "dim"), *map(Cell, texts)), indent=2)

    if build.fault:
        yield row("reason", build.fault)
    if step := build.step:
        yield row("step", step.text)
    if build.completed is not None and build.created is not None:
        yield row("duration", format_duration(build.completed - build.created))
    yield row("owner", build.owner)
    if build.task_id:
        yield row("task", f"{build.task_id}{'  ' + url if url else ''}")
    if build.branch:
        yield row("branch", build.branch)
    yield row("source", build.source or "unknown")
    if build.target:
        yield row("target", build.target)
    yield row("tags", " ".join(build.tags) or "none")
    for number, pull_spec in enumerate(build.pull_specs):
        yield row("pull" if number == 0 else "", pull_spec)
    for image in contents.images:
        pull_spec = image.pull_specs[-1] if image.pull_specs else ""
        yield row(image.arch, f"{pull_spec}  {megabytes(image.size)}, {len(image.rpms)} RPMs known to Koji")
    for parent in contents.parents:
        newer = "" if parent.is_newest else f"; a newer build exists: {parent.newest}"
        yield row("parent" if parent.is_base else "stage", f"{parent.nvr}{newer}")
    if not contents.parents and build.state == "COMPLETE":
        yield row("parent", "none built in this Koji")


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
