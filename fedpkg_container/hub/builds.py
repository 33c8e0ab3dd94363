# SPDX-License-Identifier: GPL-2.0-or-later
"""Container builds known to a hub: recorded builds and running tasks of a package or a user."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import koji

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.tasks import result_or_none, task_state
from fedpkg_container.model.koji_images import image_metadata
from fedpkg_container.model.koji_types import (
    BuildInfo,
    ParentBuild,
    QueryOptions,
    TagInfo,
    TaskInfo,
    TaskTree,
    UserInfo,
)
from fedpkg_container.text import printable_line

#: Maximum number of builds and of running tasks to query.
MAX_BUILDS = 30
MAX_TASKS = 200
ACTIVE_STATES = [koji.TASK_STATES[name] for name in ("FREE", "ASSIGNED", "OPEN")]


@dataclass(frozen=True)
class Build:
    """A recorded build.

    :param state: COMPLETE, BUILDING, FAILED, CANCELED or DELETED
    :param created: creation time, seconds since the epoch, as is ``completed``; None if unknown
    :param source: source URL with the commit
    :param branch: dist-git branch; empty if unknown
    :param pull_specs: pull specs by tag and by digest
    :param parents: image as in FROM or by digest → ID and NVR of its build
    :param parent_id: build ID of the base image; None if it is not a build of this hub
    """

    id: int
    nvr: str
    name: str
    state: str
    owner: str
    created: float | None
    completed: float | None
    source: str
    task_id: int | None
    branch: str = ""
    tags: tuple[str, ...] = ()
    pull_specs: tuple[str, ...] = ()
    is_isolated: bool = False
    parents: Mapping[str, ParentBuild] = field(default_factory=dict)
    parent_id: int | None = None

    @property
    def commit(self) -> str:
        """The dist-git commit; empty if unknown."""
        return self.source.rpartition("#")[2] if "#" in self.source else ""


def read_build(info: BuildInfo, *, branch: str = "", requester: str = "", tags: Sequence[TagInfo] = ()) -> Build:
    """Parse a build as returned by the hub (``getBuild``, ``listBuilds``).

    :param requester: owner of its task; until the import, the owner of the build is the site's shared account
    :param tags: result of ``listTags``
    """
    extra, image = info.get("extra") or {}, image_metadata(info)
    pull = (image.get("index") or {}).get("pull") or []
    parents = image.get("parent_image_builds") or {}
    return Build(
        id=int(info.get("build_id") or info["id"]),
        nvr=printable_line(info["nvr"]),
        name=printable_line(info.get("package_name") or info["name"]),
        state=koji.BUILD_STATES[info["state"]],
        owner=printable_line(str(extra.get("submitter") or requester or info.get("owner_name") or "")),
        created=info.get("creation_ts"),
        completed=info.get("completion_ts"),
        source=printable_line(info.get("source") or ""),
        task_id=_task_of(info),
        branch=printable_line(branch),
        tags=tuple(printable_line(tag["name"]) for tag in tags),
        pull_specs=tuple(printable_line(str(spec)) for spec in pull),
        is_isolated=bool(image.get("isolated")),
        parents={printable_line(str(name)): parent for name, parent in parents.items()},
        parent_id=image.get("parent_build_id"),
    )


def requester_of(info: BuildInfo, task: TaskInfo | None) -> int | None:
    """Return the ID of the user who requested a build, from its task; None if the build names the user or has no task.

    :param task: result of ``getTaskInfo``
    """
    submitter = (info.get("extra") or {}).get("submitter")
    return task.get("owner") if isinstance(task, Mapping) and not submitter else None


def _task_of(info: BuildInfo) -> int | None:
    """Return the task that created or reserved a build."""
    task = info.get("task_id") or (info.get("extra") or {}).get("container_koji_task_id")
    return task if isinstance(task, int) else None


@dataclass(frozen=True)
class RequestedBuild:
    """A running or finished ``buildContainer`` task with its descendants; the root task comes first."""

    source: str
    target: str
    branch: str
    scratch: bool
    owner: str
    tasks: tuple[TaskState, ...]


@dataclass(frozen=True)
class Overview:
    """The builds of a package.

    :param builds: recorded builds, newest first
    :param average: average duration of earlier builds in seconds; None if there are none
    """

    builds: tuple[Build, ...]
    running: tuple[RequestedBuild, ...]
    average: float | None


def valid_average(average: object) -> float | None:
    """Validate the hub's average build duration of a package; None if it has no usable value.

    :returns: seconds, at least 1
    """
    return float(average) if isinstance(average, (int, float)) and 1 <= average < math.inf else None


def overview(session: HubSession, component: str, repository: str) -> Overview:
    """Return the recorded and running builds of a package, using two requests, or three if any is running.

    :param repository: path in the source URL, e.g. ``container/hello``
    """
    newest: QueryOptions = {"order": "-build_id", "limit": MAX_BUILDS}
    with session.multicall() as multicall:
        listed = multicall.listBuilds(packageID=component, queryOpts=newest)
        query = {"method": "buildContainer", "state": ACTIVE_STATES, "decode": True}
        active = multicall.listTasks(query, {"order": "-id", "limit": MAX_TASKS})
        average = multicall.getAverageBuildDuration(component)
    running = [task for task in active.result if _is_of(task, repository)]
    return _complete(session, listed.result, running, valid_average(average.result))


def average_of_task(session: HubSession, task_id: int, components: Mapping[str, str]) -> float | None:
    """Return the average duration of builds of the package that a task builds, in seconds; None if it is unknown.

    :param components: repository (``container/hello``) → package, where it is known; otherwise ``NAME-container``
    """
    task = session.getTaskInfo(task_id, request=True)
    repository = repository_of(task) if task else ""
    if not repository:
        return None
    component = components.get(repository) or f"{repository.rpartition('/')[2]}-container"
    return valid_average(session.getAverageBuildDuration(component))


def repository_of(task: TaskInfo) -> str:
    """Return the last two parts of the path in a task's source URL (``container/hello``); empty if there is none."""
    request = task.get("request")
    source = str(request[0]) if isinstance(request, (list, tuple)) and request else ""
    path = source.partition("#")[0].partition("?")[0].rstrip("/").removesuffix(".git")
    parts = path.split("/")[-2:]
    return "/".join(parts) if len(parts) == 2 and all(parts) else ""


def builds_of_user(
    session: HubSession, user: UserInfo, *, ended: int = 10
) -> tuple[tuple[RequestedBuild, ...], tuple[RequestedBuild, ...]]:
    """Return the running and the last ``ended`` finished container builds of a user, using at most three requests."""
    query = {"method": "buildContainer", "owner": user["id"]}
    with session.multicall() as multicall:
        active = multicall.listTasks(
            {**query, "state": ACTIVE_STATES, "decode": True}, {"order": "-id", "limit": MAX_TASKS}
        )
        past = multicall.listTasks(
            {**query, "not_state": ACTIVE_STATES, "decode": True}, {"order": "-id", "limit": ended}
        )
    running = _complete(session, [], active.result, None).running
    return running, tuple(_requested(task, {}, {}) for task in past.result)


def _is_of(task: TaskInfo, repository: str) -> bool:
    request = task.get("request")
    source = str(request[0]) if isinstance(request, (list, tuple)) and request else ""
    path = source.partition("#")[0].partition("?")[0].rstrip("/").removesuffix(".git")
    return path.endswith(f"/{repository}")


def _complete(
    session: HubSession, listed: Sequence[BuildInfo], running: Sequence[TaskInfo], average: float | None
) -> Overview:
    """Add what requires further requests: tags and branches of builds, and the trees of running tasks."""
    with session.multicall(strict=False) as multicall:
        tags = [multicall.listTags(info["build_id"]) for info in listed]
        calls = [multicall.getTaskInfo(task, request=True) if (task := _task_of(info)) else None for info in listed]
        trees = [multicall.getTaskDescendents(task["id"]) for task in running]
    tasks = list(map(result_or_none, calls))
    running_trees = [(task, result_or_none(tree) or {}) for task, tree in zip(running, trees)]
    requesters = [requester_of(info, task) for info, task in zip(listed, tasks)]
    hosts, users = _names(session, running_trees, {user_id for user_id in requesters if user_id is not None})
    builds = [
        read_build(
            info, branch=branch_of(task), requester=users.get(requester or 0, ""), tags=result_or_none(tag) or ()
        )
        for info, tag, task, requester in zip(listed, tags, tasks, requesters)
    ]
    return Overview(tuple(builds), tuple(_requested(task, tree, hosts) for task, tree in running_trees), average)


def _names(
    session: HubSession, trees: Sequence[tuple[TaskInfo, TaskTree]], user_ids: Collection[int]
) -> tuple[Mapping[int, str], Mapping[int, str]]:
    """Return the names of the hosts in task trees and the names of users by ID; no request if there are neither."""
    infos = [info for task, tree in trees for info in (task, *(child for group in tree.values() for child in group))]
    host_ids = {info["host_id"] for info in infos if info["host_id"] is not None}
    if not host_ids and not user_ids:
        return {}, {}
    with session.multicall(strict=False) as multicall:
        hosts = {host_id: multicall.getHost(host_id) for host_id in host_ids}
        users = {user_id: multicall.getUser(user_id) for user_id in user_ids}
    host_names = {
        number: printable_line(host["name"]) for number, call in hosts.items() if (host := result_or_none(call))
    }
    user_names = {
        number: printable_line(user["name"]) for number, call in users.items() if (user := result_or_none(call))
    }
    return host_names, user_names


def branch_of(task: TaskInfo | None) -> str:
    """Return the branch in the request of a container build task; empty if there is none."""
    request = task.get("request") if isinstance(task, Mapping) else None
    options = request[2] if isinstance(request, (list, tuple)) and len(request) > 2 else None
    return str(options.get("git_branch") or "") if isinstance(options, Mapping) else ""


def _requested(task: TaskInfo, tree: TaskTree, names: Mapping[int, str]) -> RequestedBuild:
    request = task["request"]
    options = request[2] if len(request) > 2 and isinstance(request[2], Mapping) else {}
    children = {info["id"]: info for group in tree.values() for info in group if info["id"] != task["id"]}
    states = [task_state(info, names.get(info["host_id"] or 0, "")) for info in children.values()]
    return RequestedBuild(
        source=printable_line(str(request[0])),
        target=printable_line(str(request[1] if len(request) > 1 else "")),
        branch=printable_line(branch_of(task)),
        scratch=bool(options.get("scratch")),
        owner=printable_line(str(task.get("owner_name") or "")),
        tasks=(task_state(task, names.get(task["host_id"] or 0, "")), *sorted(states, key=lambda state: state.id)),
    )


def build_of_task(session: HubSession, task_id: int) -> BuildInfo | None:
    """Return the build created by a task; None if there is none."""
    builds = session.listBuilds(taskID=task_id)
    return builds[0] if builds else None


def find_build(session: HubSession, word: str) -> BuildInfo:
    """Return the build identified by an NVR, a build ID, or the ID of the task that created it.

    :raises RefusedError: if there is none
    """
    task, build = find_task_or_build(session, word)
    if build is None and task is not None:
        build = build_of_task(session, task["id"])
    if build is None:
        raise RefusedError(f"task {printable_line(word)} created no build", solution="pass the NVR or ID of a build")
    return build


def find_task_or_build(session: HubSession, word: str) -> tuple[TaskInfo | None, BuildInfo | None]:
    """Return the task and the build identified by a task ID, build ID or NVR, using one request; None if not found.

    :raises RefusedError: if there is neither
    """
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else None
    with session.multicall(strict=False) as multicall:
        task = multicall.getTaskInfo(number) if number is not None else None
        build = multicall.getBuild(word if number is None else number)
    result = result_or_none(task), result_or_none(build)
    if result == (None, None):
        what = f"no task or build {number}" if number is not None else f"no build {printable_line(word)}"
        raise RefusedError(f"the hub has {what}", solution="give a task ID, an NVR or a build ID")
    return result
