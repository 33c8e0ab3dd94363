# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of the container builds of a package or a user: recorded builds, and running and failed tasks."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import koji

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.builds import Build, read_build, requester_of, task_of, valid_average
from fedpkg_container.hub.paging import EVERYTHING, Pages, Searched
from fedpkg_container.hub.protocol import Call, HubSession, Multicall
from fedpkg_container.hub.requested_builds import (
    METHOD,
    RequestedBuild,
    host_names,
    is_of,
    requested_build,
    title_of,
)
from fedpkg_container.hub.selection import ALL, Overview, Selection, of_branch, select
from fedpkg_container.hub.tasks import result_or_none
from fedpkg_container.hub.waiting import waiting_tasks
from fedpkg_container.model.koji_types import (
    BuildInfo,
    ChannelInfo,
    HostInfo,
    QueryOptions,
    TagInfo,
    TaskInfo,
    TaskTree,
    UserInfo,
)
from fedpkg_container.text import printable_line

#: Tasks per page, of running, failed or ended ones.
MAX_TASKS = 200
#: Ended builds of a user to list, and age in seconds up to which failed builds without an NVR are listed, by default.
MAX_ENDED = 10
MAX_FAILURE_AGE = 7 * 86400.0
ACTIVE_STATES = [koji.TASK_STATES[name] for name in ("FREE", "ASSIGNED", "OPEN")]

#: Query options of the newest tasks.
_NEWEST_TASKS: QueryOptions = {"order": "-id", "limit": MAX_TASKS}
#: Filters of the tasks of container builds, of unfinished and of failed ones; tasks without parent have an index.
_TASKS = {"method": METHOD, "parent": None, "decode": True}
_ACTIVE = {**_TASKS, "state": ACTIVE_STATES}
_FAILED = {**_TASKS, "state": [koji.TASK_STATES["FAILED"]]}


def _given(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that are not None: the hub refuses some of them."""
    return {name: value for name, value in arguments.items() if value is not None}


class PackageQuery:
    """The calls that list the builds of a package, as part of a multicall.

    :param components: possible names of the package, the preferred one first
    :param repository: path in the source URL, e.g. ``container/hello``, or its last component
    """

    def __init__(
        self, multicall: Multicall, components: Sequence[str], repository: str, selection: Selection = ALL
    ) -> None:
        self._repository = repository
        self._selection = selection
        self._builds = {component: _build_pages(component, selection) for component in components}
        self._averages = {component: multicall.getAverageBuildDuration(component) for component in components}
        self._active = multicall.listTasks(_ACTIVE, _NEWEST_TASKS)
        since = selection.since
        oldest = since if since is not None or selection.failed else time.time() - MAX_FAILURE_AGE
        self._failed = _task_pages({**_FAILED, **_given(completeAfter=oldest)})
        self._request(multicall, [pages for lists in self._builds.values() for pages in lists])

    def overview(self, session: HubSession) -> Overview:
        """Return the builds after the multicall.

        At most two requests follow, and three per further page.
        """
        first = {component: _read(lists) for component, lists in self._builds.items()}
        component = next((name for name, infos in first.items() if infos), next(iter(first)))
        running = [task for task in self._active.result if is_of(task, self._repository)]
        average = valid_average(result_or_none(self._averages[component]))
        builds = self._builds[component]
        read = replace(self._page(session, component, first[component], running), average=average)
        for _ in range(self._selection.max_pages - 1):
            if select(read, self._selection).searched == EVERYTHING:
                break
            with session.multicall() as multicall:
                self._request(multicall, builds)
            read = _merge(read, self._page(session, component, _read(builds), []))
        return select(read, self._selection)

    def _request(self, multicall: Multicall, builds: Iterable[Pages[BuildInfo]]) -> None:
        for pages in builds:
            pages.request(multicall)
        self._failed.request(multicall)

    def _page(
        self, session: HubSession, component: str, infos: Sequence[BuildInfo], running: Sequence[TaskInfo]
    ) -> Overview:
        failed = [task for task in self._failed.read() if is_of(task, self._repository)]
        overview = _complete(session, component, infos, running, failed)
        if not self._selection.is_filter:
            return overview  # the newest builds are listed, however many there are
        oldest = [pages.oldest for pages in self._builds[component] if pages.oldest is not None]
        return replace(overview, searched=Searched(max(oldest, default=None), self._failed.oldest))


def _build_pages(component: str, selection: Selection) -> list[Pages[BuildInfo]]:
    """Return the recorded builds of a package; failed ones are two lists."""

    def pages(state: int | None) -> Pages[BuildInfo]:
        filters = {"packageID": component, **_given(state=state, completeAfter=selection.since)}
        return Pages(
            lambda multicall, options: multicall.listBuilds(**filters, queryOpts=options),
            order="-build_id",
            size=selection.page_size,
            created="creation_ts",
            optional=True,
        )

    return [pages(koji.BUILD_STATES[name]) for name in ("FAILED", "CANCELED")] if selection.failed else [pages(None)]


def _task_pages(filters: Mapping[str, object], size: int = MAX_TASKS) -> Pages[TaskInfo]:
    return Pages(
        lambda multicall, options: multicall.listTasks(filters, options), order="-id", size=size, created="create_ts"
    )


def _read(lists: Iterable[Pages[BuildInfo]]) -> list[BuildInfo]:
    return [info for pages in lists for info in pages.read()]


def _merge(newer: Overview, older: Overview) -> Overview:
    """Return a list with that of the following page; a failed task whose build is on the other page is listed once."""
    builds = {build.id: build for build in (*newer.builds, *older.builds)}
    recorded = {build.task_id for build in builds.values()} | {build.root.id for build in newer.running}
    failed = {build.root.id: build for build in (*newer.failed, *older.failed) if build.root.id not in recorded}
    running = {build.root.id for build in newer.running}
    return replace(
        newer,
        builds=tuple(build for build in builds.values() if build.task_id not in running),
        failed=tuple(failed.values()),
        searched=older.searched,
    )


def overview(session: HubSession, component: str, repository: str, selection: Selection = ALL) -> Overview:
    """Return the recorded and running builds of a package, using at most three requests, and three per further page.

    :param repository: path in the source URL, e.g. ``container/hello``
    """
    with session.multicall(strict=False) as multicall:
        query = PackageQuery(multicall, [component], repository, selection)
    return query.overview(session)


def builds_of_user(
    session: HubSession, user: UserInfo, selection: Selection = ALL
) -> tuple[tuple[RequestedBuild, ...], tuple[RequestedBuild, ...], Searched]:
    """Return the running and the last finished container builds of a user, using two requests per page.

    The last part of the result is how far back was searched for them.
    """
    owner = {"owner": user["id"]}
    states = _FAILED if selection.failed else {**_TASKS, "not_state": ACTIVE_STATES}
    limit = MAX_ENDED if selection.limit is None and selection.since is None else selection.limit
    size = MAX_TASKS if selection.branch or limit is None else limit
    past = _task_pages({**states, **owner, **_given(completeAfter=selection.since)}, size)
    with session.multicall() as multicall:
        active = multicall.listTasks({**_ACTIVE, **owner}, _NEWEST_TASKS)
        past.request(multicall)
    overview = _complete(session, "", [], active.result, past.read())
    ended = of_branch(overview.failed, selection)
    for _ in range(selection.max_pages - 1):
        if past.oldest is None or (limit is not None and len(ended) >= limit):
            break
        with session.multicall() as multicall:
            past.request(multicall)
        older = _complete(session, "", [], [], past.read())
        ended += of_branch(older.failed, selection)
    ended = tuple({build.root.id: build for build in ended}.values())[:limit]
    is_complete = limit is not None and len(ended) >= limit
    searched = EVERYTHING if is_complete else Searched(tasks=past.oldest)
    return of_branch(overview.running, selection), ended, searched


def titles_of_tasks(session: HubSession, ids: Sequence[int]) -> dict[int, str]:
    """Return the titles of the builds of tasks by their IDs, using one request.

    :raises RefusedError: if there is no such task
    """
    with session.multicall(strict=False) as multicall:
        calls = {number: multicall.getTaskInfo(number, request=True) for number in ids}
    infos = {number: result_or_none(call) for number, call in calls.items()}
    if missing := [str(number) for number, info in infos.items() if not info]:
        raise RefusedError(f"the hub has no task {', '.join(missing)}", solution="pass a valid task ID")
    return {number: title_of(info) for number, info in infos.items() if info}


def _complete(
    session: HubSession,
    component: str,
    listed: Sequence[BuildInfo],
    running: Sequence[TaskInfo],
    ended: Sequence[TaskInfo],
) -> Overview:
    """Query what requires further requests: tags, branches and faults of builds, and the trees of running tasks.

    :param ended: tasks; of those, ``failed`` of the result has those without a build in ``listed``
    """
    faulty = {koji.BUILD_STATES["FAILED"], koji.BUILD_STATES["CANCELED"]}
    channels = sorted({task["channel_id"] for task in running if task.get("channel_id") is not None})
    recorded = {task_id: info for info in listed if (task_id := task_of(info)) is not None}
    others = [task for task in ended if task["id"] not in recorded]
    with session.multicall(strict=False) as multicall:
        tags = [multicall.listTags(info["build_id"]) for info in listed]
        tasks = [multicall.getTaskInfo(task, request=True) if (task := task_of(info)) else None for info in listed]
        results = [
            multicall.getTaskResult(task, raise_fault=False)
            if (task := task_of(info)) and info["state"] in faulty
            else None
            for info in listed
        ]
        trees = [multicall.getTaskDescendents(task["id"]) for task in running]
        built = [multicall.listBuilds(taskID=task["id"]) for task in others]
        hosts = {channel: multicall.listHosts(channelID=channel) for channel in channels}
        infos = {channel: multicall.getChannel(channel) for channel in channels}
    builds = _builds(session, listed, tags, tasks, results)
    nvrs = {build.task_id: build.nvr for build in builds}
    placed = _Placed({channel: result_or_none(call) for channel, call in hosts.items()},
                     {channel: result_or_none(call) for channel, call in infos.items()})  # fmt: skip
    return Overview(
        component=component,
        builds=tuple(build for build in builds if build.task_id not in {task["id"] for task in running}),
        failed=tuple(
            replace(requested_build(task, {}, {}), nvr=_first_nvr(result_or_none(call)))
            for task, call in zip(others, built)
        ),
        running=tuple(
            replace(placed.requested(task, result_or_none(tree) or {}), nvr=nvrs.get(task["id"], ""))
            for task, tree in zip(running, trees)
        ),
        average=None,
    )


@dataclass(frozen=True)
class _Placed:
    """Channels and their hosts, by the ID of the channel; None if the hub does not return them."""

    hosts: Mapping[int, Sequence[HostInfo] | None]
    channels: Mapping[int, ChannelInfo | None]

    def requested(self, task: TaskInfo, tree: TaskTree) -> RequestedBuild:
        """Return a build with the names of its hosts and the reasons why its tasks wait."""
        names = host_names(host for group in self.hosts.values() for host in group or ())
        build = requested_build(task, tree, names)
        return replace(build, waiting=tuple(waiting_tasks(build.tasks, self.channels, self.hosts, time.time())))


def _first_nvr(builds: Sequence[BuildInfo] | None) -> str:
    return printable_line(builds[0]["nvr"]) if builds else ""


def _builds(
    session: HubSession,
    listed: Sequence[BuildInfo],
    tags: Sequence[Call[Sequence[TagInfo]]],
    calls: Sequence[Call[TaskInfo | None] | None],
    results: Sequence[Call[object] | None],
) -> list[Build]:
    """Return the builds with the results of the queries, using one more request if names of users are unknown."""
    tasks = list(map(result_or_none, calls))
    requesters = [requester_of(info, task) for info, task in zip(listed, tasks)]
    users = _user_names(session, {user_id for user_id in requesters if user_id is not None})
    return [
        read_build(
            info,
            task=task,
            requester=users.get(requester or 0, ""),
            tags=result_or_none(tag) or (),
            result=result_or_none(result),
        )
        for info, tag, task, requester, result in zip(listed, tags, tasks, requesters, results)
    ]


def _user_names(session: HubSession, user_ids: Collection[int]) -> Mapping[int, str]:
    """Return the names of users by ID; no request if there are none."""
    if not user_ids:
        return {}
    with session.multicall(strict=False) as multicall:
        users = {user_id: multicall.getUser(user_id) for user_id in user_ids}
    return {number: printable_line(user["name"]) for number, call in users.items() if (user := result_or_none(call))}
