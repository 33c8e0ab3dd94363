# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON of ``container-status``; docs/reference/status.schema.json describes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedpkg_container.hub.build_contents import Contents, Difference
    from fedpkg_container.hub.builds import Build
    from fedpkg_container.hub.events import TaskState
    from fedpkg_container.hub.requested_builds import RequestedBuild
    from fedpkg_container.hub.selection import ListedBuild, Overview
    from fedpkg_container.hub.task_report import TaskReport
    from fedpkg_container.hub.waiting import Waiting
    from fedpkg_container.model.build import SiteUrls

#: Version of the format, incremented when an existing field changes its meaning.
FORMAT = 1

Fields = dict[str, Any]

#: Fields of every build, recorded or not, and of every task: what ``--format`` can print.
ENTRY_FIELDS = (
    "task_id", "build_id", "nvr", "package", "state", "scratch", "isolated", "repository", "commit", "branch", "source",
    "target", "options", "owner", "created", "started", "completed", "url", "tags", "pull_specs", "reason",
    "dockerfile_line", "instruction",
)  # fmt: skip


def entry(build: ListedBuild, urls: SiteUrls) -> Fields:
    """Return the fields of a recorded build or of a task; their names are ``ENTRY_FIELDS``."""
    from fedpkg_container.hub.builds import Build

    fields = _recorded(build) if isinstance(build, Build) else _requested(build)
    step, task_id = build.step, fields["task_id"]
    values = {
        **fields,
        "url": urls.task(task_id) if task_id else "",
        "reason": build.fault,
        "dockerfile_line": step.line if step else None,
        "instruction": step.instruction if step else "",
    }
    return {name: values.get(name) if values.get(name) != "" else None for name in ENTRY_FIELDS}


def _recorded(build: Build) -> Fields:
    from fedpkg_container.hub.requested_builds import repository_of

    return {
        "task_id": build.task_id,
        "build_id": build.id,
        "nvr": build.nvr,
        "package": build.name,
        "state": build.state,
        "scratch": False,
        "isolated": build.is_isolated,
        "repository": repository_of(build.source),
        "commit": build.commit,
        "branch": build.branch,
        "source": build.source,
        "target": build.target,
        "owner": build.owner,
        "created": build.created,
        "started": build.created,
        "completed": build.completed,
        "tags": list(build.tags),
        "pull_specs": list(build.pull_specs),
    }


def _requested(build: RequestedBuild) -> Fields:
    root = build.root
    return {
        "task_id": root.id,
        "nvr": build.nvr,
        "state": root.state,
        "scratch": build.scratch,
        "isolated": build.isolated,
        "repository": build.repository,
        "commit": build.commit,
        "branch": build.branch,
        "source": build.source,
        "target": build.target,
        "options": dict(build.options) if build.source else None,
        "owner": build.owner,
        "created": root.created,
        "started": root.started,
        "completed": root.completed,
        "tags": [],
        "pull_specs": [],
    }


def running(build: RequestedBuild, urls: SiteUrls) -> Fields:
    """Return the fields of a build with its tasks and the reasons why they wait."""
    from fedpkg_container.progress.json_lines import task_fields

    return {
        **entry(build, urls),
        "tasks": [task_fields(task) for task in build.tasks],
        "waiting": [_waiting(waiting) for waiting in build.waiting],
    }


def _waiting(waiting: Waiting) -> Fields:
    return {
        "task_id": waiting.task.id,
        "arch": waiting.task.arch,
        "channel": waiting.channel or None,
        "reason": waiting.reason,
        "builders": [{**dataclasses.asdict(builder), "arches": list(builder.arches)} for builder in waiting.builders],
    }


def package(overview: Overview, head: Mapping[str, object] | None, urls: SiteUrls) -> Fields:
    """Return the view of a package.

    :param head: the state of the checkout's HEAD; None without a checkout
    """
    return view(
        "package",
        package=overview.component,
        head=head,
        average=overview.average,
        running=[running(build, urls) for build in overview.running],
        builds=[entry(build, urls) for build in overview.newest_first()],
        searched_since=dataclasses.asdict(overview.searched),
    )


def task(report: TaskReport, urls: SiteUrls) -> Fields:
    """Return the view of a task."""
    outcome, repository = report.outcome, report.repository
    result = outcome.result if outcome else None
    fields = running(report.build, urls)
    if result is not None:
        fields["pull_specs"] = list(result.pull_specs)
        fields["build_id"] = next((build["id"] for build in outcome.builds), None) if outcome else None
    return view(
        "task",
        **fields,
        arches=dict(result.arches) if result else {},
        warnings=list(result.warnings) if result else [],
        failed_task_id=outcome.failed.id if outcome and outcome.failed else None,
        logs=[
            {"task_id": log.task.id, "arch": log.task.label, "log": log.name, "size": log.size} for log in report.logs
        ],
        yum_repository=None if repository is None else dataclasses.asdict(repository),
    )


def build(contents: Contents, urls: SiteUrls) -> Fields:
    """Return the view of a build."""
    return view(
        "build",
        **entry(contents.build, urls),
        images=[{**dataclasses.asdict(image), "rpms": sorted(image.rpms)} for image in contents.images],
        parents=[dataclasses.asdict(parent) for parent in contents.parents],
        rpms=list(contents.rpms),
    )


def difference(before: Contents, after: Contents, changes: Difference) -> Fields:
    """Return the view of the changes between two builds."""
    return view("difference", **{"from": before.build.nvr, "to": after.build.nvr}, **dataclasses.asdict(changes))


def canceled(tasks: list[TaskState]) -> Fields:
    """Return the view of canceled tasks."""
    from fedpkg_container.progress.json_lines import task_fields

    return view("canceled", tasks=[task_fields(task) for task in tasks])


def view(name: str, **fields: object) -> Fields:
    """Return a view: an object with the version of the format and the name of the view."""
    return {"format": FORMAT, "view": name, **fields}
