# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of the container builds of a package, and the selection of the builds to list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Union

from fedpkg_container.hub.builds import MAX_BUILDS, Build
from fedpkg_container.hub.paging import EVERYTHING, Searched
from fedpkg_container.hub.requested_builds import RequestedBuild

#: Builds per page if builds are selected.
MAX_SELECTED_BUILDS = 100
#: Pages to search if the number or the time of the builds to list is given; otherwise, only the first is.
MAX_PAGES = 10

#: A build of a list: recorded, or a task without a record.
ListedBuild = Union[Build, RequestedBuild]


@dataclass(frozen=True)
class Selection:
    """Which builds to list.

    :param limit: maximum number; None for the default
    :param failed: only failed builds
    :param branch: only builds of a dist-git branch; empty for all
    :param since: only builds that ended after this time, seconds since the epoch; None for all
    """

    limit: int | None = None
    failed: bool = False
    branch: str = ""
    since: float | None = None

    @property
    def is_filter(self) -> bool:
        """Whether other criteria than the number of builds apply."""
        return self.failed or bool(self.branch) or self.since is not None

    @property
    def page_size(self) -> int:
        """Recorded builds per page."""
        return max(MAX_SELECTED_BUILDS if self.is_filter else MAX_BUILDS, self.limit or 0)

    @property
    def max_pages(self) -> int:
        """Maximum number of pages to search for the builds to list."""
        return MAX_PAGES if self.limit is not None or self.since is not None else 1


#: No restriction.
ALL = Selection()


@dataclass(frozen=True)
class Overview:
    """The builds of a package.

    :param component: the package
    :param builds: recorded builds, newest first
    :param failed: failed tasks without a recorded build, newest first: scratch builds, and builds without an NVR yet
    :param average: average duration of earlier builds in seconds; None if there are none
    """

    component: str
    builds: tuple[Build, ...]
    failed: tuple[RequestedBuild, ...]
    running: tuple[RequestedBuild, ...]
    average: float | None
    searched: Searched = EVERYTHING

    @property
    def is_empty(self) -> bool:
        """Whether there are neither builds nor tasks."""
        return not (self.builds or self.failed or self.running)

    def newest_first(self) -> list[ListedBuild]:
        """Return builds and failed tasks, newest first."""
        ended: list[ListedBuild] = [*self.builds, *self.failed]
        return sorted(ended, key=_creation, reverse=True)


def _creation(build: ListedBuild) -> float:
    return (build.created if isinstance(build, Build) else build.root.created) or 0.0


def of_branch(builds: Sequence[RequestedBuild], selection: Selection) -> tuple[RequestedBuild, ...]:
    """Return the builds of the selected branch."""
    return tuple(build for build in builds if selection.branch in ("", build.branch))


def select(overview: Overview, selection: Selection) -> Overview:
    """Return a list without the builds that are not selected."""
    builds = [build for build in overview.builds if selection.branch in ("", build.branch)]
    if selection.failed:
        builds = [build for build in builds if build.fault or build.state == "FAILED"]
    failed = list(of_branch(overview.failed, selection))
    searched = overview.searched
    if selection.limit is not None:
        newest = replace(overview, builds=tuple(builds), failed=tuple(failed)).newest_first()[: selection.limit]
        if len(newest) == selection.limit:
            searched = searched.until(_creation(newest[-1]))
        builds = [build for build in newest if isinstance(build, Build)]
        failed = [build for build in newest if isinstance(build, RequestedBuild)]
    running = () if selection.failed else of_branch(overview.running, selection)
    return replace(overview, builds=tuple(builds), failed=tuple(failed), running=running, searched=searched)
