# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that the hub knows about a task of a container build, and about why it waits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import koji

from fedpkg_container.hub.events import Finished, TaskState
from fedpkg_container.hub.logs import TaskLog, pod_logs, task_logs, waiting_reason
from fedpkg_container.hub.overview import ACTIVE_STATES, MAX_TASKS
from fedpkg_container.hub.protocol import Call, HubSession, Multicall
from fedpkg_container.hub.requested_builds import (
    METHOD,
    RequestedBuild,
    host_names,
    request_of,
    requested_build,
    task_states,
)
from fedpkg_container.hub.tasks import failed_outcome, first_failed, result_or_none
from fedpkg_container.hub.waiting import Repository, Waiting, channels_of, waiting_tasks
from fedpkg_container.model.build import BuildResult
from fedpkg_container.model.koji_types import BuildInfo, RepoInfo, TargetInfo, TaskInfo, TaskTree
from fedpkg_container.text import printable_line

#: Methods of the tasks that create the repository of a tag, and that wait for one; the tag is their first argument.
CREATE_REPOSITORY, AWAIT_REPOSITORY = "newRepo", "waitrepo"


@dataclass(frozen=True)
class TaskReport:
    """A task with its descendants.

    :param build: the container build; the first of its tasks is the task itself, also if that is not the root
    :param logs: the logs of all tasks
    :param outcome: its outcome, if it has ended
    :param repository: the repository that it awaits or will use, if it has not started
    """

    build: RequestedBuild
    logs: tuple[TaskLog, ...] = ()
    outcome: Finished | None = None
    repository: Repository | None = None


def read_task(session: HubSession, task: TaskInfo, tree: TaskTree) -> TaskReport:
    """Return everything about a task, using two requests.

    :param task: result of ``getTaskInfo`` with its request
    :param tree: result of ``getTaskDescendents``
    """
    states = task_states(task, tree, {})
    root, failed = states[0], first_failed(states[0], states)
    infos = [task, *(info for group in tree.values() for info in group)]
    channels = channels_of(states)
    with session.multicall(strict=False) as multicall:
        hosts = [multicall.getHost(number) for number in sorted({info["host_id"] for info in infos if info["host_id"]})]
        files = [multicall.listTaskOutput(state.id, stat=True) for state in states]
        owner = multicall.getUser(task["owner"]) if task.get("owner") else None
        parent = multicall.getTaskInfo(root.parent, request=True) if root.parent else None
        channel_hosts = {channel: multicall.listHosts(channelID=channel) for channel in channels}
        channel_infos = {channel: multicall.getChannel(channel) for channel in channels}
        results = [multicall.getTaskResult(number, raise_fault=False) for number in _with_result(root, failed)]
        awaited = _RepositoryCalls(multicall, task, root)
    names = host_names(host for call in hosts if (host := result_or_none(call)))
    build = _build(task, tree, names, str((result_or_none(owner) or {}).get("name") or ""), result_or_none(parent))
    logs = task_logs(build.tasks, [result_or_none(call) or {} for call in files])
    waiting = waiting_tasks(
        build.tasks,
        {channel: result_or_none(call) for channel, call in channel_infos.items()},
        {channel: result_or_none(call) for channel, call in channel_hosts.items()},
        time.time(),
    )
    finished = _outcome(build.tasks, [result_or_none(call) for call in results], logs)
    return _read_rest(session, TaskReport(replace(build, waiting=tuple(waiting)), tuple(logs), finished), awaited)


def _with_result(root: TaskState, failed: TaskState) -> list[int]:
    """Return the IDs of the tasks whose results make up the outcome."""
    if root.state == "CLOSED":
        return [root.id]
    return list(dict.fromkeys([failed.id, root.id])) if root.state == "FAILED" else []


def _build(
    task: TaskInfo, tree: TaskTree, hosts: dict[int, str], owner: str, parent: TaskInfo | None
) -> RequestedBuild:
    """Return the build that a task belongs to, with the tasks of the tree."""
    if task["method"] == METHOD:
        return requested_build(task, tree, hosts, owner=owner)
    tasks = task_states(task, tree, hosts)
    if parent is not None and parent["method"] == METHOD:
        return replace(requested_build(parent, {}, {}, owner=owner), tasks=tasks)
    return RequestedBuild("", "", "", False, printable_line(owner), tasks)


def _outcome(tasks: Sequence[TaskState], results: Sequence[object], logs: Sequence[TaskLog]) -> Finished | None:
    """Return the outcome, without the builds so far; None if the task has not ended."""
    root = tasks[0]
    if root.state == "FAILED":
        return failed_outcome(root, first_failed(root, tasks), results, [(log.task.id, log.name) for log in logs])
    if root.state == "CLOSED":
        return Finished(root, BuildResult.read(results[0]))
    return Finished(root) if root.ended else None


def _read_rest(session: HubSession, report: TaskReport, awaited: _RepositoryCalls) -> TaskReport:
    """Query what depends on the first request: builds, the repository, and why pods have not started."""
    pods = pod_logs(report.logs)
    builds = report.outcome.result.builds if report.outcome else ()
    tag = awaited.tag()
    if not (pods or builds or tag):
        return replace(report, build=_with_fault(report.build, report.outcome))
    with session.multicall(strict=False) as multicall:
        ends = [multicall.downloadTaskOutput(log.task.id, log.name, *log.last_part()) for log in pods]
        infos = [multicall.getBuild(build) for build in builds]
        repo = multicall.getRepo(tag) if tag else None
    reasons = [
        Waiting(log.task, reason)
        for log, call in zip(pods, ends)
        if (content := result_or_none(call)) and (reason := waiting_reason(content))
    ]
    recorded = [build for build in map(result_or_none, infos) if build]
    outcome = report.outcome and replace(report.outcome, builds=recorded)
    build = replace(report.build, waiting=(*report.build.waiting, *reasons), nvr=_first_nvr(recorded))
    return replace(
        report,
        build=_with_fault(build, outcome),
        outcome=outcome,
        repository=awaited.repository(tag, result_or_none(repo)) if tag else None,
    )


def _with_fault(build: RequestedBuild, outcome: Finished | None) -> RequestedBuild:
    return replace(build, fault=outcome.fault) if outcome and outcome.fault else build


def _first_nvr(builds: Sequence[BuildInfo]) -> str:
    return printable_line(builds[0]["nvr"]) if builds else ""


class _RepositoryCalls:
    """The calls, in a multicall, about the repository of the build tag of a task that has not started.

    :param root: the state of the task
    """

    def __init__(self, multicall: Multicall, task: TaskInfo, root: TaskState) -> None:
        arguments = request_of(task)
        self._tag = ""
        self._target: Call[TargetInfo | None] | None = None
        self._creating: Call[Sequence[TaskInfo]] | None = None
        if root.method == AWAIT_REPOSITORY and not root.ended and arguments:
            self._tag = str(arguments[0])
        elif root.method == METHOD and root.is_waiting and len(arguments) > 1 and arguments[1]:
            self._target = multicall.getBuildTarget(str(arguments[1]))
        if self._tag or self._target is not None:
            query = {"method": CREATE_REPOSITORY, "state": ACTIVE_STATES, "decode": True}
            self._creating = multicall.listTasks(query, {"order": "-id", "limit": MAX_TASKS})

    def tag(self) -> str:
        """Return the tag, after the multicall; empty if there is none."""
        target = result_or_none(self._target)
        return str(target["build_tag_name"]) if target else self._tag

    def repository(self, tag: str, repo: RepoInfo | None) -> Repository:
        """Return the repository.

        :param repo: result of ``getRepo``
        """
        tasks: Any = result_or_none(self._creating) or ()
        task = next((task for task in tasks if str((*request_of(task), "")[0]) == tag), None)
        return Repository(
            tag=printable_line(tag),
            id=int(repo["id"]) if repo else None,
            created=repo.get("create_ts") if repo else None,
            task_id=task["id"] if task else None,
            task_state=koji.TASK_STATES[task["state"]] if task else "",
        )
