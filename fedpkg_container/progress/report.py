"""The end of a build: what the packager came for, or what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedpkg_container.hub.events import Finished
from fedpkg_container.model.build import Addresses
from fedpkg_container.progress.formatting import LogTails
from fedpkg_container.text import format_duration, printable_line


def result_fields(event: Finished) -> dict[str, Any]:
    """How a build ended, as an object of JSON."""
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
    """Seconds that the build took, waiting for a builder not counted."""
    if event.task.started is None or event.task.completed is None:
        return None
    return round(event.task.completed - event.task.started, 1)


def success_lines(event: Finished, *, quiet: bool = False) -> Iterator[str]:
    """The lines that a build ends with.

    :param quiet: the NVR and the pull specs alone
    """
    facts = result_fields(event)
    took = f" in {format_duration(facts['duration'])}" if facts["duration"] is not None else ""
    for warning in facts["warnings"]:
        yield f"warning: {warning}"
    if facts["builds"]:
        for build in facts["builds"]:
            yield build["nvr"] if quiet else f"built {build['nvr']} (build {build['id']}){took}"
    elif not quiet:
        yield f"task {event.task.id} is done{took}"
    indent = "" if quiet else "    "
    for specification in facts["pull_specs"]:
        yield f"{indent}{specification}"
    if len(facts["arches"]) > 1:
        width = max(len(arch) for arch in facts["arches"])
        for arch, specification in facts["arches"].items():
            yield f"{indent}{arch:<{width}}  {specification}"
    if facts["pull_specs"] and not quiet:
        yield f"try it: podman run --rm -it {facts['pull_specs'][-1]}"


def failure_lines(event: Finished, tails: LogTails, addresses: Addresses) -> Iterator[str]:
    """The last lines of the task that failed, and where its logs are."""
    failed = event.failed or event.task
    for name, lines in tails.of(failed.id).items():
        yield f"the last lines of {name} of task {failed.id}:"
        yield from (f"    {line}" for line in lines)
    for name in event.logs:
        if address := addresses.log(failed.id, name):
            yield f"log: {address}"


def failure_reason(event: Finished) -> str:
    """Which task failed, on which builder, and why: one sentence."""
    failed = event.failed or event.task
    on = f" on {failed.host}" if failed.host else ""
    return f"task {failed.name} failed{on}: {event.fault or 'no reason is known'}"
