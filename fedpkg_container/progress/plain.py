# SPDX-License-Identifier: GPL-2.0-or-later
"""Renderer base class and plain output: one line per event and per log line."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
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
from fedpkg_container.progress.ci import ci_log
from fedpkg_container.progress.formatting import Style
from fedpkg_container.progress.look import state_sign, task_text
from fedpkg_container.stdio import write_text
from fedpkg_container.text import format_duration


class Renderer(ABC):
    """Base class of renderers: context managers that display the events of a build."""

    @property
    def shows_logs(self) -> bool:
        """Whether the logs have been displayed, so that their ends need not be repeated."""
        return False

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


#: Start of the last line of a failed task's log, which builders write.
FAILED = "failed: "
#: Name of the root task in the prefix of its log lines; the others are named after their architecture.
ROOT_LABEL = "build"


class PlainRenderer(Renderer):
    """Writes events as lines of text; in the log of a CI service, the lines of logs are in groups.

    :param stream: output stream, flushed after each event
    :param timestamps: start each line with the local time
    """

    def __init__(self, stream: TextIO, *, timestamps: bool = False) -> None:
        self.stream = stream
        self.timestamps = timestamps
        self._ci = ci_log()
        self._in_group = False
        self.style = Style(stream)
        self._arches: set[str] = set()
        self._lost_reported = False
        self._no_builder_reported: set[str] = set()
        self._held: dict[tuple[int, str], LogLines] = {}

    @property
    def shows_logs(self) -> bool:
        """Whether the logs have been displayed, and not mixed with those of another architecture."""
        return len(self._arches) <= 1

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Write the lines that were held back."""
        for event in self._held.values():
            self._log(event)
        self._held.clear()
        self._end_group()

    def __call__(self, event: Event) -> None:
        """Display one event."""
        if isinstance(event, LogLines):
            self._hold_reason(event)
        elif isinstance(event, Submitted):
            self._submitted(event)
        elif isinstance(event, TaskChanged):
            self._task(event.task)
        elif isinstance(event, ContactLost) and not self._lost_reported:
            self._lost_reported = True
            reason = f" ({event.reason})" if event.reason else ""
            limit = f" for up to {format_duration(event.retry_timeout)}" if event.retry_timeout else ""
            self._write(self.style.warning(f"no response from the hub{reason}; retrying{limit} …"))
        elif isinstance(event, ContactRegained):
            self._lost_reported = False
            self._write(f"the hub is responding again after {format_duration(event.seconds)}")
        elif isinstance(event, NoBuilder) and event.task.arch not in self._no_builder_reported:
            self._no_builder_reported.add(event.task.arch)
            self._write(self.style.warning(f"task {event.task.id} is still waiting: {event.text}"))
        elif isinstance(event, BuilderSeen):
            self._no_builder_reported.discard(event.arch)

    def _hold_reason(self, event: LogLines) -> None:
        """Write the lines of a log, except for a last one with the reason of a failure.

        It is written when another line follows, or the task does not fail: otherwise the error message has the reason.
        """
        if held := self._held.pop((event.task.id, event.log), None):
            self._log(held)
        if event.lines and event.lines[-1].startswith(FAILED):
            self._held[event.task.id, event.log] = replace(event, lines=event.lines[-1:])
            event = replace(event, lines=event.lines[:-1])
        self._log(event)

    def _release_reasons(self, task: TaskState) -> None:
        """Write the lines held back for a task that has ended, or drop them if it failed."""
        for key in [key for key in self._held if key[0] == task.id]:
            held = self._held.pop(key)
            if task.state != "FAILED":
                self._log(held)

    def _log(self, event: LogLines) -> None:
        if not event.lines:
            return
        if not self._in_group:
            self.stream.write(self._ci.begin_group("log"))
            self._in_group = True
        prefix = self._prefix(event)
        self._write_lines([f"{prefix}{line}" for line in event.lines])

    def _end_group(self) -> None:
        if self._in_group:
            self.stream.write(self._ci.end_group())
            self._in_group = False

    def _prefix(self, event: LogLines) -> str:
        """Return the prefix that names the architecture, if the build has several."""
        return f"{event.task.label or ROOT_LABEL} | " if len(self._arches) > 1 else ""

    def _submitted(self, event: Submitted) -> None:
        if event.average:
            self._write(f"earlier builds of this package took {format_duration(event.average)} on average")

    def _task(self, task: TaskState) -> None:
        if task.label:
            self._arches.add(task.label)
        if task.ended:
            self._release_reasons(task)
        shown = task if task.state in ("OPEN", "FAILED") else replace(task, host="")
        line = f"{state_sign(task.state, self.stream)} task {task.name}: {task_text(shown)}"
        self._write(self.style.bad(line) if task.state == "FAILED" else self.style.strong(line))

    def _write(self, line: str) -> None:
        """Write a line that is not of a log."""
        self._end_group()
        self._write_lines([line])

    def _write_lines(self, lines: Sequence[str]) -> None:
        stamp = time.strftime("%H:%M:%S ") if self.timestamps else ""
        write_text(self.stream, self._ci.escape("".join(f"{stamp}{line}\n" for line in lines)))


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
            self._log(event)

    def _log(self, event: LogLines) -> None:
        prefix = self._prefix(event)
        self._write_lines([f"{prefix}{line}" for line in event.lines])

    def _prefix(self, event: LogLines) -> str:
        return "" if self.arch else super()._prefix(event)


class QuietRenderer(PlainRenderer):
    """Writes nothing while a build is running."""

    @property
    def shows_logs(self) -> bool:
        """No log has been displayed."""
        return False

    def __call__(self, event: Event) -> None:
        """Ignore the event."""
