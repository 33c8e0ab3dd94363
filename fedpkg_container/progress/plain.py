"""Plain lines: one for each event and each line of a log, for a terminal, a pipe or a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
from fedpkg_container.text import format_duration


class Renderer(ABC):
    """Shows what happens to a build, for as long as it is entered."""

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
        """Show one event."""


#: Koji's states of tasks, in words.
STATE_NAMES = {
    "FREE": "waits for a builder",
    "ASSIGNED": "is assigned",
    "OPEN": "runs",
    "CLOSED": "is done",
    "CANCELED": "was canceled",
    "FAILED": "failed",
}


class PlainRenderer(Renderer):
    """Shows events as lines.

    :param stream: where they are written, and flushed
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.style = Style(stream)
        self._arches: set[str] = set()
        self._told_lost = False
        self._told_silent: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, LogLines):
            prefix = self._prefix(event)
            self._write("".join(f"{prefix}{line}\n" for line in event.lines))
        elif isinstance(event, Submitted):
            self._submitted(event)
        elif isinstance(event, TaskChanged):
            self._task(event.task)
        elif isinstance(event, ContactLost) and not self._told_lost:
            self._told_lost = True
            reason = f" ({event.reason})" if event.reason else ""
            patience = f", for up to {format_duration(event.patience)}" if event.patience else ""
            self._write(self.style.warning(f"the hub does not answer{reason}; asking again{patience} …") + "\n")
        elif isinstance(event, ContactRegained):
            self._told_lost = False
            self._write(f"the hub answers again, after {format_duration(event.seconds)}\n")
        elif isinstance(event, NoBuilder) and event.task.arch not in self._told_silent:
            self._told_silent.add(event.task.arch)
            self._write(self.style.warning(f"task {event.task.id} still waits: {event.text}") + "\n")
        elif isinstance(event, BuilderSeen):
            self._told_silent.discard(event.arch)

    def _prefix(self, event: LogLines) -> str:
        """Which arch a line is of, when there are several."""
        return f"{event.task.label or 'build'} | " if len(self._arches) > 1 else ""

    def _submitted(self, event: Submitted) -> None:
        if event.average:
            self._write(f"earlier builds of this package took {format_duration(event.average)} on average\n")

    def _task(self, task: TaskState) -> None:
        if task.label:
            self._arches.add(task.label)
        on = f" on {task.host}" if task.host and task.state in ("OPEN", "FAILED") else ""
        line = f"task {task.name} {STATE_NAMES[task.state]}{on}"
        self._write((self.style.bad(line) if task.state == "FAILED" else self.style.strong(line)) + "\n")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class LogRenderer(PlainRenderer):
    """Shows the lines of logs and nothing else.

    :param arch: of the logs that are shown; empty for all
    """

    def __init__(self, stream: TextIO, arch: str) -> None:
        super().__init__(stream)
        self.arch = arch

    def __call__(self, event: Event) -> None:
        """Show the lines of a log."""
        if isinstance(event, TaskChanged) and event.task.label:
            self._arches.add(event.task.label)
        if isinstance(event, LogLines) and self.arch in ("", event.task.label):
            prefix = "" if self.arch else self._prefix(event)
            self._write("".join(f"{prefix}{line}\n" for line in event.lines))


class QuietRenderer(PlainRenderer):
    """Shows nothing while a build goes on."""

    def __call__(self, event: Event) -> None:
        """Say nothing."""
