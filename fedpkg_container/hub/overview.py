# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of the container builds of a package or a user: recorded builds, and running and failed tasks."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Union

import koji

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.builds import MAX_BUILDS, Build, read_build, requester_of, task_of, valid_average
from fedpkg_container.hub.protocol import Call, HubSession, Multicall
from fedpkg_container.hub.requested_builds import (
    METHOD,
    RequestedBuild,
    host_names,
    is_of,
    requested_build,
)
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

#: Maximum number of builds to query for a selection, and of running or failed tasks.
MAX_SELECTED_BUILDS = 100
MAX_TASKS = 200
#: Ended builds of a user to list, and age in seconds up to which failed builds without an NVR are listed, by default.
MAX_ENDED = 10
MAX_FAILURE_AGE = 7 * 86400.0
ACTIVE_STATES = [koji.TASK_STATES[name] for name in ("FREE", "ASSIGNED", "OPEN")]

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
        """Whether builds are left out by other criteria than their number."""
        return self.failed or bool(self.branch) or self.since is not None

    def query(self) -> QueryOptions:
        """Return the query options of a list of builds."""
        least = MAX_SELECTED_BUILDS if self.is_filter else MAX_BUILDS
        return {"order": "-build_id", "limit": max(least, self.limit or 0)}


#: No restriction.
ALL = Selection()


@dataclass(frozen=True)
class Searched:
    """How far back the hub was searched for selected builds, as creation times in seconds since the epoch.

    :param builds: of the oldest recorded build that was read; None if there are no older ones, or the list needs none
    :param tasks: the same of tasks without a recorded build
    """

    builds: float | None = None
    tasks: float | None = None

    def until(self, time_of_oldest: float) -> Searched:
        """Return the same for a list that is cut off at its oldest entry."""
        times = (value if value is not None and value > time_of_oldest else None for value in (self.builds, self.tasks))
        return Searched(*times)


#: All builds that the list needs.
EVERYTHING = Searched()


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
        since = selection.since
        states = [koji.BUILD_STATES[name] for name in ("FAILED", "CANCELED")] if selection.failed else [None]
        self._listed = {
            component: [
                multicall.listBuilds(
                    packageID=component,
                    queryOpts=selection.query(),
                    **_given(state=state),
                    **_given(completeAfter=since),
                )
                for state in states
            ]
            for component in components
        }
        self._averages = {component: multicall.getAverageBuildDuration(component) for component in components}
        self._active = multicall.listTasks(_ACTIVE, _NEWEST_TASKS)
        oldest = since if since is not None or selection.failed else time.time() - MAX_FAILURE_AGE
        self._failed = multicall.listTasks({**_FAILED, **_given(completeAfter=oldest)}, _NEWEST_TASKS)

    def overview(self, session: HubSession) -> Overview:
        """Return the builds after the multicall, with at most two requests."""
        listed = {
            component: [info for call in calls for info in result_or_none(call) or ()]
            for component, calls in self._listed.items()
        }
        component = next((name for name, infos in listed.items() if infos), next(iter(listed)))
        running = [task for task in self._active.result if is_of(task, self._repository)]
        failed = [task for task in self._failed.result if is_of(task, self._repository)]
        overview = _complete(session, component, listed[component], running, failed)
        average = valid_average(result_or_none(self._averages[component]))
        return _select(replace(overview, average=average, searched=self._searched(component)), self._selection)

    def _searched(self, component: str) -> Searched:
        if not self._selection.is_filter:
            return EVERYTHING  # the newest builds are listed, however many there are
        limit = self._selection.query()["limit"]
        builds = [_oldest(result_or_none(call) or (), "creation_ts", limit) for call in self._listed[component]]
        return Searched(
            max((oldest for oldest in builds if oldest is not None), default=None),
            _oldest(self._failed.result, "create_ts", MAX_TASKS),
        )


def _oldest(rows: Sequence[Mapping[str, Any]], column: str, limit: int) -> float | None:
    """Return the creation time of the oldest row; None if the hub returned all rows that it has."""
    times = [row[column] for row in rows if isinstance(row.get(column), (int, float))]
    return min(times, default=None) if len(rows) >= limit else None


def overview(session: HubSession, component: str, repository: str, selection: Selection = ALL) -> Overview:
    """Return the recorded and running builds of a package, using at most three requests.

    :param repository: path in the source URL, e.g. ``container/hello``
    """
    with session.multicall(strict=False) as multicall:
        query = PackageQuery(multicall, [component], repository, selection)
    return query.overview(session)


def builds_of_user(
    session: HubSession, user: UserInfo, selection: Selection = ALL
) -> tuple[tuple[RequestedBuild, ...], tuple[RequestedBuild, ...], Searched]:
    """Return the running and the last finished container builds of a user, using at most two requests.

    The last part of the result is how far back was searched for them.
    """
    owner = {"owner": user["id"]}
    states = _FAILED if selection.failed else {**_TASKS, "not_state": ACTIVE_STATES}
    since = _given(completeAfter=selection.since)
    limit = MAX_ENDED if selection.limit is None else selection.limit
    with session.multicall() as multicall:
        active = multicall.listTasks({**_ACTIVE, **owner}, _NEWEST_TASKS)
        past = multicall.listTasks(
            {**states, **owner, **since}, {"order": "-id", "limit": MAX_TASKS if selection.branch else limit}
        )
    overview = _complete(session, "", [], active.result, past.result)
    ended = _of_branch(overview.failed, selection)[:limit]
    searched = Searched(tasks=_oldest(past.result, "create_ts", MAX_TASKS)) if selection.branch else EVERYTHING
    if len(ended) >= limit:
        searched = EVERYTHING
    return _of_branch(overview.running, selection), ended, searched


def titles_of_tasks(session: HubSession, ids: Sequence[int]) -> dict[int, str]:
    """Return the titles of the builds of tasks by their IDs, using one request.

    :raises RefusedError: if there is no such task
    """
    with session.multicall(strict=False) as multicall:
        calls = {number: multicall.getTaskInfo(number, request=True) for number in ids}
    infos = {number: result_or_none(call) for number, call in calls.items()}
    if missing := [str(number) for number, info in infos.items() if not info]:
        raise RefusedError(f"the hub has no task {', '.join(missing)}", solution="pass a valid task ID")
    return {
        number: requested_build(info, {}, {}).title if info["method"] == METHOD else printable_line(info["method"])
        for number, info in infos.items()
        if info
    }


def _of_branch(builds: Sequence[RequestedBuild], selection: Selection) -> tuple[RequestedBuild, ...]:
    return tuple(build for build in builds if selection.branch in ("", build.branch))


def _select(overview: Overview, selection: Selection) -> Overview:
    """Leave out the builds that are not selected."""
    builds = [build for build in overview.builds if selection.branch in ("", build.branch)]
    if selection.failed:
        builds = [build for build in builds if build.fault or build.state == "FAILED"]
    failed = list(_of_branch(overview.failed, selection))
    searched = overview.searched
    if selection.limit is not None:
        newest = replace(overview, builds=tuple(builds), failed=tuple(failed)).newest_first()[: selection.limit]
        if len(newest) == selection.limit:
            searched = searched.until(_creation(newest[-1]))
        builds = [build for build in newest if isinstance(build, Build)]
        failed = [build for build in newest if isinstance(build, RequestedBuild)]
    running = () if selection.failed else _of_branch(overview.running, selection)
    return replace(overview, builds=tuple(builds), failed=tuple(failed), running=running, searched=searched)


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
