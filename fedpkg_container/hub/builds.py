"""Container builds that a hub has recorded: those of a package, and what went into one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import koji

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.tasks import optional, task_state
from fedpkg_container.model.koji_images import image_of
from fedpkg_container.text import printable_line

#: Builds and running tasks of a package that are looked at.
MOST_BUILDS = 30
MOST_TASKS = 200
ACTIVE = [koji.TASK_STATES[name] for name in ("FREE", "ASSIGNED", "OPEN")]


@dataclass(frozen=True)
class Build:
    """A build.

    :param state: COMPLETE, BUILDING, FAILED, CANCELED or DELETED
    :param created: seconds since the epoch, as is ``completed``; None when it is not known
    :param source: URL with the commit
    :param branch: of dist-git; empty when it is not known
    :param pull_specs: by tag, by digest
    :param parents: image as in FROM or by digest → id and NVR of its build
    :param parent_id: build of the base image; None when it is none of this hub
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
    parents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parent_id: int | None = None

    @property
    def commit(self) -> str:
        """The commit in dist-git; empty when it is not known."""
        return self.source.rpartition("#")[2] if "#" in self.source else ""


def read_build(
    info: Mapping[str, Any], *, branch: str = "", asker: str = "", tags: Sequence[Mapping[str, Any]] = ()
) -> Build:
    """A build as a hub tells it (``getBuild``, ``listBuilds``).

    :param asker: who owns its task: the build itself is the shared account's until it is imported
    :param tags: of ``listTags``
    """
    extra, image = info.get("extra") or {}, image_of(info)
    pull = (image.get("index") or {}).get("pull") or []
    parents = image.get("parent_image_builds") or {}
    return Build(
        id=int(info.get("build_id") or info["id"]),
        nvr=printable_line(info["nvr"]),
        name=printable_line(info.get("package_name") or info["name"]),
        state=koji.BUILD_STATES[info["state"]],
        owner=printable_line(str(extra.get("submitter") or asker or info.get("owner_name") or "")),
        created=info.get("creation_ts"),
        completed=info.get("completion_ts"),
        source=printable_line(info.get("source") or ""),
        task_id=_task_of(info),
        branch=printable_line(branch),
        tags=tuple(printable_line(tag["name"]) for tag in tags),
        pull_specs=tuple(printable_line(str(each)) for each in pull),
        is_isolated=bool(image.get("isolated")),
        parents={printable_line(str(name)): parent for name, parent in parents.items()},
        parent_id=image.get("parent_build_id"),
    )


def asker_of(info: Mapping[str, Any], task: Any) -> int | None:
    """The user who asked for a build that does not name them; None when it does, or its task is not known.

    :param task: of ``getTaskInfo``
    """
    named = (info.get("extra") or {}).get("submitter")
    return task.get("owner") if isinstance(task, Mapping) and not named else None


def _task_of(info: Mapping[str, Any]) -> int | None:
    """The task that made, or reserved, a build."""
    task = info.get("task_id") or (info.get("extra") or {}).get("container_koji_task_id")
    return task if isinstance(task, int) else None


@dataclass(frozen=True)
class RequestedBuild:
    """A build that was asked for, with its tasks; the root comes first."""

    source: str
    target: str
    branch: str
    scratch: bool
    owner: str
    tasks: tuple[TaskState, ...]


@dataclass(frozen=True)
class Overview:
    """The builds of a package.

    :param builds: the newest first
    :param average: seconds that earlier ones took; None when there are none
    """

    builds: tuple[Build, ...]
    running: tuple[RequestedBuild, ...]
    average: float | None


def usual(average: object) -> float | None:
    """How long builds of a package take, by the average that a hub tells; None where it tells nothing of use.

    :returns: seconds, one or more
    """
    return float(average) if isinstance(average, (int, float)) and 1 <= average < math.inf else None


def overview(session: Any, component: str, repository: str) -> Overview:
    """The builds of a package and what is being built of it: two requests, three when something is.

    :param repository: part of the source's URL, ``container/hello``
    """
    newest = {"order": "-build_id", "limit": MOST_BUILDS}
    with session.multicall() as multicall:
        listed = multicall.listBuilds(packageID=component, queryOpts=newest)
        wanted = {"method": "buildContainer", "state": ACTIVE, "decode": True}
        active = multicall.listTasks(wanted, {"order": "-id", "limit": MOST_TASKS})
        average = multicall.getAverageBuildDuration(component)
    running = [task for task in active.result if _is_of(task, repository)]
    return _complete(session, listed.result, running, usual(average.result))


def own(
    session: Any, user: Mapping[str, Any], *, ended: int = 10
) -> tuple[tuple[RequestedBuild, ...], tuple[RequestedBuild, ...]]:
    """Container builds of one user: those that go on, and the last ones that have ended; at most three requests."""
    mine = {"method": "buildContainer", "owner": user["id"]}
    with session.multicall() as multicall:
        active = multicall.listTasks({**mine, "state": ACTIVE, "decode": True}, {"order": "-id", "limit": MOST_TASKS})
        past = multicall.listTasks({**mine, "not_state": ACTIVE, "decode": True}, {"order": "-id", "limit": ended})
    running = _complete(session, [], active.result, None).running
    return running, tuple(_requested(task, {}, {}) for task in past.result)


def _is_of(task: Mapping[str, Any], repository: str) -> bool:
    request = task.get("request")
    source = str(request[0]) if isinstance(request, (list, tuple)) and request else ""
    path = source.partition("#")[0].partition("?")[0].rstrip("/").removesuffix(".git")
    return path.endswith(f"/{repository}")


def _complete(
    session: Any, listed: Sequence[Mapping[str, Any]], running: Sequence[Mapping[str, Any]], average: float | None
) -> Overview:
    """What only further requests can tell: tags and branches of builds, the trees of running tasks."""
    with session.multicall(strict=False) as multicall:
        tags = [multicall.listTags(info["build_id"]) for info in listed]
        calls = [multicall.getTaskInfo(task, request=True) if (task := _task_of(info)) else None for info in listed]
        trees = [multicall.getTaskDescendents(task["id"]) for task in running]
    tasks = list(map(optional, calls))
    found = [(task, optional(tree) or {}) for task, tree in zip(running, trees)]
    askers = [asker_of(info, task) for info, task in zip(listed, tasks)]
    hosts, users = _names(session, found, {each for each in askers if each is not None})
    builds = [
        read_build(info, branch=branch_of(task), asker=users.get(asker or 0, ""), tags=optional(tag) or ())
        for info, tag, task, asker in zip(listed, tags, tasks, askers)
    ]
    return Overview(tuple(builds), tuple(_requested(task, tree, hosts) for task, tree in found), average)


def _names(
    session: Any, found: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], askers: Collection[int]
) -> tuple[Mapping[int, str], Mapping[int, str]]:
    """The names of the builders of some trees, and of some users; no request when there are neither."""
    infos = [info for task, tree in found for info in (task, *(each for group in tree.values() for each in group))]
    builders = {info["host_id"] for info in infos if info["host_id"] is not None}
    if not builders and not askers:
        return {}, {}
    with session.multicall(strict=False) as multicall:
        hosts = {host: multicall.getHost(host) for host in builders}
        users = {user: multicall.getUser(user) for user in askers}
    hosts_named, users_named = (
        {number: printable_line(call.result["name"]) for number, call in calls.items() if optional(call)}
        for calls in (hosts, users)
    )
    return hosts_named, users_named


def branch_of(task: Any) -> str:
    """The branch in the request of a task for a container build; empty when it is none."""
    request = task.get("request") if isinstance(task, Mapping) else None
    options = request[2] if isinstance(request, (list, tuple)) and len(request) > 2 else None
    return str(options.get("git_branch") or "") if isinstance(options, Mapping) else ""


def _requested(task: Mapping[str, Any], tree: Mapping[str, Any], names: Mapping[int, str]) -> RequestedBuild:
    request = task["request"]
    options = request[2] if len(request) > 2 and isinstance(request[2], Mapping) else {}
    children = {info["id"]: info for group in tree.values() for info in group if info["id"] != task["id"]}
    states = [task_state(info, names.get(info["host_id"], "")) for info in children.values()]
    return RequestedBuild(
        source=printable_line(str(request[0])),
        target=printable_line(str(request[1] if len(request) > 1 else "")),
        branch=printable_line(branch_of(task)),
        scratch=bool(options.get("scratch")),
        owner=printable_line(str(task.get("owner_name") or "")),
        tasks=(task_state(task, names.get(task["host_id"], "")), *sorted(states, key=lambda each: each.id)),
    )


def build_of(session: Any, task_id: int) -> Mapping[str, Any] | None:
    """The build that a task made; None when it made none."""
    made = session.listBuilds(taskID=task_id)
    return made[0] if made else None


def find(session: Any, word: str) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """The task and the build that a word names, in one request; None for what it does not name.

    :raises RefusedError: it names neither
    """
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else None
    with session.multicall(strict=False) as multicall:
        task = multicall.getTaskInfo(number) if number is not None else None
        build = multicall.getBuild(word if number is None else number)
    found = optional(task), optional(build)
    if found == (None, None):
        what = f"neither a task nor a build {number}" if number is not None else f"no build {printable_line(word)}"
        raise RefusedError(f"the hub knows {what}", solution="give a task, an NVR, or the id of a build")
    return found
