# SPDX-License-Identifier: GPL-2.0-or-later
"""Renderer base class and plain output: one line per event and per log line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from types import TracebackType
from typing import Optional, TextIO

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
from fedpkg_container.progress.formatting import Style
from fedpkg_container.progress.look import state_sign, task_text
from fedpkg_container.stdio import write_text
from fedpkg_container.text import format_duration


class Renderer(ABC):
    """Base class of renderers: context managers that display the events of a build."""

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        return None

    @abstractmethod
    def __call__(self, event: Event) -> None:
        """Display one event."""


#: Name of the root task in the prefix of its log lines; the others are named after their architecture.
ROOT_LABEL = "build"


class PlainRenderer(Renderer):
    """Writes events as lines of text.

    :param stream: output stream, flushed after each event
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.style = Style(stream)
        self._arches: set[str] = set()
        self._lost_reported = False
        self._no_builder_reported: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Display one event."""
        if isinstance(event, LogLines):
            prefix = self._prefix(event)
            self._write("".join(f"{prefix}{line}\n" for line in event.lines))
        elif isinstance(event, Submitted):
            self._submitted(event)
        elif isinstance(event, TaskChanged):
            self._task(event.task)
        elif isinstance(event, ContactLost) and not self._lost_reported:
            self._lost_reported = True
            reason = f" ({event.reason})" if event.reason else ""
            limit = f" for up to {format_duration(event.retry_timeout)}" if event.retry_timeout else ""
            self._write(self.style.warning(f"no response from the hub{reason}; retrying{limit} …") + "\n")
        elif isinstance(event, ContactRegained):
            self._lost_reported = False
            self._write(f"the hub is responding again after {format_duration(event.seconds)}\n")
        elif isinstance(event, NoBuilder) and event.task.arch not in self._no_builder_reported:
            self._no_builder_reported.add(event.task.arch)
            self._write(self.style.warning(f"task {event.task.id} is still waiting: {event.text}") + "\n")
        elif isinstance(event, BuilderSeen):
            self._no_builder_reported.discard(event.arch)

    def _prefix(self, event: LogLines) -> str:
        """Return the prefix that names the architecture, if the build has several."""
        return f"{event.task.label or ROOT_LABEL} | " if len(self._arches) > 1 else ""

    def _submitted(self, event: Submitted) -> None:
        if event.average:
            self._write(f"earlier builds of this package took {format_duration(event.average)} on average\n")

    def _task(self, task: TaskState) -> None:
        if task.label:
            self._arches.add(task.label)
        shown = task if task.state in ("OPEN", "FAILED") else replace(task, host="")
        line = f"{state_sign(task.state, self.stream)} task {task.name}: {task_text(shown)}"
        self._write((self.style.bad(line) if task.state == "FAILED" else self.style.strong(line)) + "\n")

    def _write(self, text: str) -> None:
        write_text(self.stream, text)


class LogRenderer(PlainRenderer):
    """Writes log lines only.

    :param arch: architecture of the logs to write, or ``build`` for the root task; empty for all
    """

    def __init__(self, stream: TextIO, arch: str) -> None:
        super().__init__(stream)
        self.arch = arch

    def __call__(self, event: Event) -> None:
        """Write the lines of a log; record architectures."""
        if isinstance(event, TaskChanged) and event.task.label:
            self._arches.add(event.task.label)
        if isinstance(event, LogLines) and self.arch in ("", event.task.label or ROOT_LABEL):
            prefix = "" if self.arch else self._prefix(event)
            self._write("".join(f"{prefix}{line}\n" for line in event.lines))


class QuietRenderer(PlainRenderer):
    """Writes nothing while a build is running."""

    def __call__(self, event: Event) -> None:
        """Ignore the event."""
