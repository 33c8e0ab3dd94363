"""The last lines of each log, for the report of a failure."""

from __future__ import annotations

from collections import deque

from fedpkg_container.hub.events import Event, LogLines

#: Lines of a log that are shown again when its task has failed.
LAST_LINES = 20


class Tails:
    """Keeps the last lines of every log that it is shown."""

    def __init__(self, lines: int = LAST_LINES) -> None:
        self._lines = lines
        self._logs: dict[int, dict[str, deque[str]]] = {}

    def __call__(self, event: Event) -> None:
        """Note one event."""
        if isinstance(event, LogLines):
            logs = self._logs.setdefault(event.task.id, {})
            logs.setdefault(event.log, deque(maxlen=self._lines)).extend(event.lines[-self._lines :])

    def of(self, task_id: int) -> dict[str, list[str]]:
        """The last lines of a task's logs, by name."""
        return {name: list(lines) for name, lines in self._logs.get(task_id, {}).items()}
