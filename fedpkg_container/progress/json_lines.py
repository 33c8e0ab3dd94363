# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON lines, one object per event; docs/reference/progress.schema.json describes them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TextIO

from fedpkg_container.hub.events import (
    BuilderSeen,
    ContactLost,
    ContactRegained,
    Event,
    LogLines,
    NoBuilder,
    Submitted,
    TaskChanged,
    TaskState,
)
from fedpkg_container.model.findings import Finding
from fedpkg_container.progress.plain import Renderer
from fedpkg_container.stdio import write_text

#: Version of the format, incremented when an existing field changes its meaning.
FORMAT = 1


class JsonRenderer(Renderer):
    """Writes events as JSON lines.

    :param stream: output stream, flushed after each event
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, LogLines):
            arch = event.task.label
            self.write_all(
                {"event": "log", "task_id": event.task.id, "arch": arch, "log": event.log, "text": text}
                for text in event.lines
            )
        elif isinstance(event, Submitted):
            nvr = event.nvr or None
            self.write("submitted", task_id=event.task_id, url=event.url, nvr=nvr, average=event.average)
        elif isinstance(event, TaskChanged):
            self.write("task", **task_fields(event.task))
        elif isinstance(event, ContactLost):
            self.write("contact-lost", seconds=event.seconds, reason=event.reason)
        elif isinstance(event, ContactRegained):
            self.write("contact-regained", seconds=event.seconds)
        elif isinstance(event, NoBuilder):
            self.write("no-builder", **no_builder_fields(event))
        elif isinstance(event, BuilderSeen):
            self.write("builder-seen", arch=event.arch)

    def findings(self, findings: Iterable[Finding]) -> None:
        """Write the findings of checks."""
        self.write_all({"event": "finding", **asdict(finding)} for finding in findings)

    def write(self, event: str, **fields: object) -> None:
        """Write one object."""
        self.write_all([{"event": event, **fields}])

    def write_all(self, objects: Iterable[Mapping[str, object]]) -> None:
        """Write several objects and flush once."""
        now = round(time.time(), 3)
        lines = (json.dumps({"format": FORMAT, "time": now, **fields}) for fields in objects)
        write_text(self.stream, "".join(f"{line}\n" for line in lines))


def task_fields(task: TaskState) -> Mapping[str, object]:
    """Return the JSON fields of a task."""
    return {
        "task_id": task.id,
        "parent": task.parent,
        "method": task.method,
        "arch": task.label,
        "state": task.state,
        "host": task.host,
        "created": task.created,
        "started": task.started,
        "completed": task.completed,
    }


def no_builder_fields(event: NoBuilder) -> Mapping[str, object]:
    """Return the JSON fields of a task that no builder can accept."""
    seconds = None if event.seconds is None else round(event.seconds, 1)
    return {"task_id": event.task.id, "arch": event.task.arch, "builders": event.builders, "seconds": seconds}
