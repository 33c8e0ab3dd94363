# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for a session with a hub, which answers from tables and records the requests."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import koji

from fedpkg_container.hub.rows import check_response

#: The time in tests, and that of the creation of tasks, seconds since the epoch.
NOW = 1_800_000_000.0
CREATED = NOW - 300
SOURCE = "git+https://src.example/container/web"


def task(number: int, state: str, **fields: Any) -> dict[str, Any]:
    """A task as ``getTaskInfo`` and ``listTasks`` return it."""
    parent = fields.get("parent")
    started = state not in ("FREE", "ASSIGNED")
    return {
        "id": number,
        "parent": parent,
        "method": "createContainer" if parent else "buildContainer",
        "label": None,
        "arch": "noarch",
        "state": koji.TASK_STATES[state],
        "owner": 5,
        "owner_name": "me",
        "host_id": 1 if started else None,
        "channel_id": 3,
        "create_ts": CREATED,
        "start_ts": CREATED + 10 if started else None,
        "completion_ts": CREATED + 60 if state in ("CLOSED", "FAILED", "CANCELED") else None,
        "request": [f"{SOURCE}#{'a' * 40}", "target", {"git_branch": "rawhide", "scratch": True, "release": None}],
        **fields,
    }


def build(number: int, state: str, **fields: Any) -> dict[str, Any]:
    """A build as ``getBuild`` and ``listBuilds`` return it."""
    return {
        "id": number,
        "build_id": number,
        "name": "web-container",
        "package_name": "web-container",
        "package_id": 9,
        "version": "1",
        "release": str(number),
        "nvr": f"web-container-1-{number}",
        "state": koji.BUILD_STATES[state],
        "owner_name": "osbs",
        "source": f"{SOURCE}#{'a' * 40}",
        "task_id": None,
        "creation_ts": CREATED + number,
        "completion_ts": CREATED + number + 60,
        "extra": {"submitter": "me"},
        **fields,
    }


def host(number: int, **fields: Any) -> dict[str, Any]:
    """A host as ``listHosts`` returns it: enabled, ready, idle, and just seen."""
    return {
        "id": number,
        "name": f"builder-{number}",
        "arches": "x86_64",
        "enabled": True,
        "ready": True,
        "task_load": 0.0,
        "capacity": 2.0,
        "update_ts": NOW - 2,
        **fields,
    }


def _checked(name: str, response: Any) -> Any:
    """Return a response that a session accepts."""
    check_response(name, response)
    return response


@dataclass
class _Refused:
    error: koji.GenericError

    @property
    def result(self) -> Any:
        raise self.error


@dataclass
class _Answer:
    result: Any


@dataclass
class StatusHub:
    """The contents of a hub, by ID.

    :param results: results of tasks; a text is the message of a fault
    :param output: names and contents of the files of tasks
    :param repo: the repository of any tag
    :param archives: images by the ID of their build, and ``rpms`` by the ID of their image
    :param requests: calls of each request so far
    """

    tasks: list[dict[str, Any]] = field(default_factory=list)
    builds: list[dict[str, Any]] = field(default_factory=list)
    hosts: list[dict[str, Any]] = field(default_factory=lambda: [host(1)])
    channel: dict[str, Any] = field(default_factory=lambda: {"id": 3, "name": "container-binary", "enabled": True})
    results: dict[int, Any] = field(default_factory=dict)
    output: dict[int, dict[str, bytes]] = field(default_factory=dict)
    repo: dict[str, Any] | None = None
    archives: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    rpms: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    average: float | None = None
    requests: list[list[str]] = field(default_factory=list)
    baseurl: str = "https://hub.example"
    logged_in: bool = True
    opts: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def multicall(self, **_: Any) -> Iterator[Any]:
        """Count one request; its calls are answered at once."""
        self.requests.append([])
        yield _Calls(self)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.requests.append([name])
            return _checked(name, getattr(_Tables(self), name)(*arguments, **options))

        if name.startswith("__"):
            raise AttributeError(name)
        return call


@dataclass
class _Calls:
    hub: StatusHub

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.hub.requests[-1].append(name)
            try:
                answer = getattr(_Tables(self.hub), name)(*arguments, **options)
            except koji.GenericError as error:
                return _Refused(error)
            return _Answer(_checked(name, answer))

        return call


def _page(rows: list[dict[str, Any]], options: dict[str, Any]) -> list[dict[str, Any]]:
    start = options.get("offset", 0)
    return rows[start : start + options["limit"]] if "limit" in options else rows[start:]


@dataclass
class _Tables:
    hub: StatusHub

    def getTaskInfo(self, number: Any, *, request: bool = False, strict: bool = False) -> Any:
        if isinstance(number, list):
            return [self.getTaskInfo(each) for each in number]
        found = next((each for each in self.hub.tasks if each["id"] == number), None)
        if found is None and strict:
            raise koji.GenericError("no rows")
        return found if request or found is None else {key: found[key] for key in found if key != "request"}

    def getTaskDescendents(self, number: int) -> Any:
        return {str(number): [each for each in self.hub.tasks if each["parent"] == number]}

    def getTaskResult(self, number: int, **_: bool) -> Any:
        if number not in self.hub.results:
            raise koji.GenericError(f"Task {number} is canceled")
        result = self.hub.results[number]
        return {"faultCode": 1005, "faultString": result} if isinstance(result, str) else result

    def listTasks(self, opts: dict[str, Any], queryOpts: Any) -> Any:
        tasks = [each for each in self.hub.tasks if each["method"] == opts["method"]]
        if "state" in opts:
            tasks = [each for each in tasks if each["state"] in opts["state"]]
        if "not_state" in opts:
            tasks = [each for each in tasks if each["state"] not in opts["not_state"]]
        if opts.get("completeAfter") is not None:
            tasks = [each for each in tasks if each["completion_ts"] > opts["completeAfter"]]
        faults = {number: {"faultString": text} for number, text in self.hub.results.items() if isinstance(text, str)}
        newest = sorted(tasks, key=lambda each: -each["id"])
        return _page([{**each, "result": faults.get(each["id"])} for each in newest], queryOpts)

    def cancelTask(self, number: int) -> None:
        found = self.getTaskInfo(number, request=True)
        if found["owner"] != 5:
            raise koji.ActionNotAllowed("Cannot cancel task, not owner")
        found["state"] = koji.TASK_STATES["CANCELED"]

    def listTaskOutput(self, number: int, **_: bool) -> Any:
        files = self.hub.output.get(number, {})
        return {name: {"st_size": str(len(content))} for name, content in files.items()}

    def downloadTaskOutput(self, number: int, name: str, offset: int, size: int) -> Any:
        return base64.b64encode(self.hub.output[number][name][offset : offset + size]).decode()

    def getBuild(self, info: Any) -> Any:
        return next((each for each in self.hub.builds if info in (each["id"], each["nvr"])), None)

    def listBuilds(self, *, packageID: Any = None, taskID: Any = None, state: Any = None, **options: Any) -> Any:
        found = [each for each in self.hub.builds if packageID in (None, each["name"], each["package_id"])]
        found = [each for each in found if taskID in (None, each["task_id"]) and state in (None, each["state"])]
        if options.get("completeAfter") is not None:
            found = [each for each in found if each["completion_ts"] > options["completeAfter"]]
        newest = sorted(found, key=lambda each: -each["id"])
        return _page(newest, options.get("queryOpts") or {})

    def getAverageBuildDuration(self, _: str) -> Any:
        return self.hub.average

    def listTags(self, _: int) -> Any:
        return [{"name": "stable"}]

    def getUser(self, number: int) -> Any:
        return {"id": number, "name": "me"}

    def getLoggedInUser(self) -> Any:
        return {"id": 5, "name": "me"}

    def getHost(self, number: int) -> Any:
        return next((each for each in self.hub.hosts if each["id"] == number), None)

    def listHosts(self, *, channelID: int) -> Any:
        return self.hub.hosts if channelID == self.hub.channel["id"] else []

    def getChannel(self, number: int) -> Any:
        return self.hub.channel if number == self.hub.channel["id"] else None

    def getBuildTarget(self, name: str) -> Any:
        return {"name": name, "build_tag": 4, "build_tag_name": "f43-build"} if name == "target" else None

    def getRepo(self, _: Any) -> Any:
        return self.hub.repo

    def listArchives(self, number: int, **_: Any) -> Any:
        return self.hub.archives.get(number, [])

    def listRPMs(self, *, imageID: int) -> Any:
        return self.hub.rpms.get(imageID, [])
