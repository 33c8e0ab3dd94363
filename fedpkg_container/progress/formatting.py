"""What renderers share: colours, lengths of time, and the last lines of each log."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TextIO

from fedpkg_container.hub.events import Event, LogLines


class Style:
    """Marks text for a terminal; leaves it alone everywhere else.

    :param stream: what is written to
    """

    def __init__(self, stream: TextIO) -> None:
        terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.enabled = terminal and not os.environ.get("NO_COLOR")

    def _sgr(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.enabled else text

    def bad(self, text: str) -> str:
        """What failed."""
        return self._sgr("1;31", text)

    def good(self, text: str) -> str:
        """What succeeded."""
        return self._sgr("1;32", text)

    def warning(self, text: str) -> str:
        """What may be wrong."""
        return self._sgr("33", text)

    def strong(self, text: str) -> str:
        """What matters more than the rest."""
        return self._sgr("1", text)


def format_clock(seconds: float) -> str:
    """Minutes and seconds, ``4:05``; with hours when there are any."""
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def format_percentage(elapsed: float, usual: float) -> str:
    """How much of its usual time something has run, ``45%``; empty once it takes longer: nobody knows how long then."""
    part = max(elapsed, 0.0) / usual
    return f"{int(part * 100)}%" if part < 1 else ""


def format_age(moment: float, *, now: float | None = None) -> str:
    """How long ago, in its largest unit: ``12 min ago``.

    :param moment: seconds since the epoch
    """
    past = max((time.time() if now is None else now) - moment, 0)
    for unit, seconds in (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400)):
        if past >= seconds:
            number = int(past // seconds)
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    for unit, seconds in (("h", 3600), ("min", 60)):
        if past >= seconds:
            return f"{int(past // seconds)} {unit} ago"
    return "just now"


#: Lines of a log that are shown again when its task has failed.
LAST_LINES = 20


class LogTails:
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
