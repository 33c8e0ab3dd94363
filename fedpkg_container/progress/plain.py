"""Plain lines: one for each event and each line of a log, for a terminal, a pipe or a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from fedpkg_container.hub.events import ContactLost, ContactRegained, Event, Finished, LogLine, TaskChanged, TaskState

#: Lines of a log that are shown again when its task has failed.
LAST_LINES = 20
_WORDS = {
    "FREE": "waits for a builder",
    "ASSIGNED": "is assigned",
    "OPEN": "runs",
    "CLOSED": "is done",
    "CANCELED": "was canceled",
    "FAILED": "failed",
}


class PlainRenderer:
    """Shows events as lines.

    :param write: gets each line, without its newline
    :param quiet: show nothing but the end
    """

    def __init__(self, write: Callable[[str], None], *, quiet: bool = False) -> None:
        self.write = write
        self.quiet = quiet
        self._last: dict[int, dict[str, deque[str]]] = {}
        self._told_lost = False

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, LogLine):
            self._log_line(event)
        elif isinstance(event, Finished):
            self._finished(event)
        elif self.quiet:
            return
        elif isinstance(event, TaskChanged):
            self._task(event.task)
        elif isinstance(event, ContactLost) and not self._told_lost:
            self._told_lost = True
            self.write("the hub does not answer; asking again …")
        elif isinstance(event, ContactRegained):
            self._told_lost = False
            self.write(f"the hub answers again, after {event.seconds:.0f} s")

    def _task(self, task: TaskState) -> None:
        on = f" on {task.host}" if task.host and task.state in ("OPEN", "FAILED") else ""
        self.write(f"task {_name(task)} {_WORDS[task.state]}{on}")

    def _log_line(self, event: LogLine) -> None:
        logs = self._last.setdefault(event.task.id, {})
        logs.setdefault(event.log, deque(maxlen=LAST_LINES)).append(event.text)
        if not self.quiet:
            self.write(f"{event.task.label or 'build'} | {event.text}")

    def _finished(self, event: Finished) -> None:
        if event.failed is None or event.task.state != "FAILED":
            return
        if self.quiet:
            on = f" on {event.failed.host}" if event.failed.host else ""
            self.write(f"task {_name(event.failed)} failed{on}")
            for log, lines in self._last.get(event.failed.id, {}).items():
                self.write(f"the last lines of {log}:")
                for text in lines:
                    self.write(f"    {text}")


def _name(task: TaskState) -> str:
    return f"{task.id} {task.method}" + (f" ({task.label})" if task.label else "")
