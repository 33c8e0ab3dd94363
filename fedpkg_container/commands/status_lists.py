# SPDX-License-Identifier: GPL-2.0-or-later
"""Text of lists of builds in ``container-status``: those of a package, and the user's own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fedpkg_container.hub.builds import Build
from fedpkg_container.progress.formatting import format_age, format_percentage
from fedpkg_container.progress.look import Cell, Page, Row, state_cell, task_text
from fedpkg_container.text import format_duration

if TYPE_CHECKING:
    from fedpkg_container.hub.events import TaskState
    from fedpkg_container.hub.paging import Searched
    from fedpkg_container.hub.requested_builds import RequestedBuild
    from fedpkg_container.hub.selection import ListedBuild, Overview, Selection

#: Builds to show per branch.
BUILDS_PER_BRANCH = 3
#: Indentation of the rows of a section, of the tasks of a build, and of the details of a build, in characters.
SECTION, TASKS, DETAILS = 2, 4, 6


def package_lines(
    page: Page, overview: Overview, *, head: str = "", per_branch: int | None = None, empty: str = "no builds yet"
) -> Iterator[str]:
    """Yield the text about a package.

    :param head: the state of the checkout's HEAD, a phrase; empty without a checkout
    :param per_branch: number of builds to show per branch; None for all
    :param empty: what to print if there are no builds
    """
    yield from page.lines([Row((Cell(overview.component, "strong"), *([Cell(head)] if head else [])))])
    if overview.running:
        yield from ("", *page.lines([Row((Cell("running", "strong"),))]))
        rows = [row for build in overview.running for row in running_rows(build, overview.average)]
        yield from page.table(rows)
    branches: dict[str, list[ListedBuild]] = {}
    for build in overview.newest_first():
        branches.setdefault(build.branch or "unknown branch", []).append(build)
    names = sorted(branches, key=lambda branch: (not branches[branch][0].branch, branch))
    tables = page.tables([row for build in branches[name][:per_branch] for row in build_rows(build)] for name in names)
    for name, lines in zip(names, tables):
        yield from ("", *page.lines([Row((Cell(name, "strong"),))]), *lines)
        if per_branch is not None and len(branches[name]) > per_branch:
            yield f"{' ' * SECTION}… {len(branches[name]) - per_branch} older"
    if overview.is_empty:
        yield empty


def own_lines(page: Page, running: Sequence[RequestedBuild], ended: Sequence[RequestedBuild]) -> Iterator[str]:
    """Yield the text about the user's own builds."""
    if running:
        yield from page.lines([Row((Cell("running", "strong"),))])
        yield from page.table([row for build in running for row in running_rows(build, None, in_package=False)])
    if ended:
        yield from ("", *page.lines([Row((Cell("ended", "strong"),))])) if running else ()
        yield from page.table([row for build in ended for row in build_rows(build, in_package=False)])
    if not running and not ended:
        yield "you have no container builds"


def unsearched_lines(page: Page, searched: Searched, selection: Selection) -> Iterator[str]:
    """Yield lines that state which builds were not searched; none if the list is complete.

    :param searched: how far back the hub was searched
    """
    is_bounded = selection.limit is not None or selection.since is not None
    hint = "" if is_bounded else "; use --limit N or --since TIME to search further"
    for what, since in (("builds", searched.builds), ("tasks without an NVR", searched.tasks)):
        if since is not None:
            date = time.strftime("%Y-%m-%d %H:%M", time.localtime(since))
            yield from page.lines([Row((Cell(f"{what} created before {date} were not searched{hint}", "warning"),))])


def build_rows(build: ListedBuild, *, in_package: bool = True) -> Iterator[Row]:
    """Yield the rows of a build that has ended, or that is recorded: one, and one per detail.

    :param in_package: whether the list is that of one package and branch
    """
    is_recorded = isinstance(build, Build)
    state = build.state if isinstance(build, Build) else build.root.state
    ended = build.completed or build.created if isinstance(build, Build) else build.root.completed or build.root.created
    task_id = build.task_id if isinstance(build, Build) else build.root.id
    tags = f"in {', '.join(build.tags)}" if isinstance(build, Build) and build.tags else ""
    isolated = " (isolated)" if isinstance(build, Build) and build.is_isolated else ""
    yield Row(
        (
            Cell(f"{build.nvr or _what(build, in_package=in_package)}{isolated}", "strong"),
            state_cell(state),
            Cell(format_age(ended) if ended is not None else ""),
            Cell(f"by {build.owner}"),
            Cell(tags if is_recorded and state == "COMPLETE" else f"task {task_id}" if task_id else "", "dim"),
        ),
        state=state,
        indent=SECTION,
    )
    if build.fault:
        yield Row((Cell(build.fault),), indent=DETAILS)
    if isinstance(build, Build) and build.pull_specs:
        yield Row((Cell(build.pull_specs[0]),), indent=DETAILS)


def _what(build: ListedBuild, *, in_package: bool) -> str:
    """Return what a build without an NVR builds."""
    kind = "build" if isinstance(build, Build) else build.kind
    commit = build.commit[:12]
    if in_package:
        return f"{kind} of {commit}"
    repository = "" if isinstance(build, Build) else build.repository
    return f"{kind} of {repository}" + (f", {build.branch}" if build.branch else "")


def running_rows(build: RequestedBuild, average: float | None, *, in_package: bool = True) -> Iterator[Row]:
    """Yield the rows of a build that has not ended: the build, its tasks, and why they wait.

    :param average: average duration of earlier builds in seconds; None if unknown
    """
    root = build.root
    what = f"{build.kind} of {build.branch or 'commit'} ({build.commit[:12]})" if in_package else ""
    name = build.nvr or what or _what(build, in_package=False)
    yield _task_row(root, name, f"by {build.owner}{_progress(root, average)}", indent=SECTION)
    yield from tree_rows(build, indent=TASKS)


def tree_rows(build: RequestedBuild, *, indent: int) -> Iterator[Row]:
    """Yield the rows of the descendants of a task, indented by their depth, and why tasks wait."""
    reasons = {waiting.task.id: waiting.reason for waiting in build.waiting}
    depths = {build.root.id: -1}
    if build.root.id in reasons:
        yield _reason_row(reasons[build.root.id], indent)
    for task in build.tasks[1:]:
        depths[task.id] = depth = depths.get(task.parent or 0, -1) + 1
        yield _task_row(task, task.label or task.method, "", indent=indent + 2 * depth)
        if task.id in reasons:
            yield _reason_row(reasons[task.id], indent + 2 * depth + 2)


def _reason_row(reason: str, indent: int) -> Row:
    return Row((Cell(f"waits because {reason}", "warning"),), indent=indent)


def _task_row(task: TaskState, name: str, detail: str, *, indent: int) -> Row:
    cells = (Cell(name, "strong"), state_cell(task.state, task_text(task)), Cell(elapsed(task)))
    return Row((*cells, Cell(detail), Cell(f"task {task.id}", "dim")), state=task.state, indent=indent)


def elapsed(task: TaskState) -> str:
    """Return how long a task has run, or since when it waits."""
    if task.started is not None:
        return format_duration((task.completed or time.time()) - task.started)
    return format_duration((task.completed or time.time()) - task.created) if task.created is not None else ""


def _progress(task: TaskState, average: float | None) -> str:
    """Return the elapsed part of the average duration; empty if unknown."""
    if not average or task.started is None:
        return ""
    percentage = format_percentage(time.time() - task.started, average)
    return f", {f'{percentage} of' if percentage else 'above'} the average of {format_duration(average)}"
