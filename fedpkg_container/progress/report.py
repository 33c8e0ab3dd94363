# SPDX-License-Identifier: GPL-2.0-or-later
"""Report at the end of a build: results, or the reason of the failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedpkg_container.hub.events import Finished
from fedpkg_container.text import format_duration, printable_line


def result_fields(event: Finished) -> dict[str, Any]:
    """Return the JSON fields of the result of a build."""
    task, result = event.task, event.result
    return {
        "task_id": task.id,
        "state": task.state,
        "duration": duration(event),
        "builds": [{"id": build["id"], "nvr": printable_line(build["nvr"])} for build in event.builds],
        "pull_specs": list(result.pull_specs),
        "arches": dict(result.arches),
        "warnings": list(result.warnings),
        "fault": event.fault,
        "failed_task_id": event.failed.id if event.failed else None,
    }


def duration(event: Finished) -> float | None:
    """Return the duration of the build in seconds, without the time spent waiting for a builder."""
    if event.task.started is None or event.task.completed is None:
        return None
    return round(event.task.completed - event.task.started, 1)


def success_lines(event: Finished, *, quiet: bool = False) -> Iterator[str]:
    """Yield the lines of the report of a successful build.

    :param quiet: NVR and pull specs only
    """
    result = result_fields(event)
    took = f" in {format_duration(result['duration'])}" if result["duration"] is not None else ""
    for warning in result["warnings"]:
        yield f"warning: {warning}"
    if result["builds"]:
        for build in result["builds"]:
            yield build["nvr"] if quiet else f"built {build['nvr']} (build {build['id']}){took}"
    elif not quiet:
        yield f"task {event.task.id} completed{took}"
    indent = "" if quiet else "    "
    for pull_spec in result["pull_specs"]:
        yield f"{indent}{pull_spec}"
    if len(result["arches"]) > 1:
        width = max(len(arch) for arch in result["arches"])
        for arch, pull_spec in result["arches"].items():
            yield f"{indent}{arch:<{width}}  {pull_spec}"
    if result["pull_specs"] and not quiet:
        yield f"try it: podman run --rm -it {result['pull_specs'][-1]}"


def failure_reason(event: Finished) -> str:
    """Return one sentence: which task failed, on which builder, and why."""
    failed = event.failed or event.task
    on = f" on {failed.host}" if failed.host else ""
    return f"task {failed.name} failed{on}: {event.fault or 'unknown reason'}"
