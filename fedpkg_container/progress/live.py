"""A view that is redrawn in place: the tree of tasks, how far they are, and the last lines of their logs."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import TextIO

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
from fedpkg_container.progress.formatting import format_clock, format_percentage
from fedpkg_container.progress.plain import STATE_NAMES, Renderer
from fedpkg_container.text import format_duration

#: Redraws a second; also what makes the clocks run.
REDRAWS = 4
#: Lines of a log that are kept for the view, and warnings.
KEPT = 40
KEPT_WARNINGS = 5
#: Lines that are kept free below the view.
MARGIN = 2

_LOOKS = {
    "FREE": ("○", "dim"),
    "ASSIGNED": ("○", "dim"),
    "OPEN": ("●", "cyan"),
    "CLOSED": ("✔", "green"),
    "CANCELED": ("✘", "yellow"),
    "FAILED": ("✘", "bold red"),
}
_PLAIN_MARKS = {"○": "o", "●": "*", "✔": "+", "✘": "x"}


class LiveRenderer(Renderer):
    """Shows events as a view of the whole build.

    :param stream: a terminal
    :param warnings: what is shown below it from the start
    """

    def __init__(self, stream: TextIO, *, warnings: tuple[str, ...] = (), console: Console | None = None) -> None:
        self.console = console or Console(file=stream, highlight=False, markup=False, emoji=False)
        self.submitted: Submitted | None = None
        self.tasks: dict[int, TaskState] = {}
        self.lines: dict[int, deque[str]] = {}
        self.warnings: deque[str] = deque(warnings, maxlen=KEPT_WARNINGS)
        self.lost: tuple[ContactLost, float] | None = None
        self.silent: dict[str, NoBuilder] = {}
        self._skew: float | None = None
        self._size: ConsoleDimensions | None = None
        self._lock = threading.RLock()  # rich redraws in a thread of its own
        self._began = time.time()
        self._live = Live(
            console=self.console,
            refresh_per_second=REDRAWS,
            transient=True,
            get_renderable=self.view,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveRenderer:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        for line in self._summary():
            self.console.print(line, soft_wrap=True)

    def __call__(self, event: Event) -> None:
        """Take one event in; it is shown with the next redraw."""
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, LogLines):
            self._log(event)
        elif isinstance(event, TaskChanged):
            self._note_clock(event.task)
            self.tasks[event.task.id] = event.task
        elif isinstance(event, Submitted):
            self.submitted = event
        elif isinstance(event, ContactLost):
            self.lost = (event, time.time() - event.seconds)
        elif isinstance(event, ContactRegained):
            self.lost = None
            self.warnings.append(f"the hub did not answer for {format_duration(event.seconds)}")
        elif isinstance(event, NoBuilder):
            self.silent[event.task.arch] = event
        elif isinstance(event, BuilderSeen):
            self.silent.pop(event.arch, None)

    def _log(self, event: LogLines) -> None:
        self.lines.setdefault(event.task.id, deque(maxlen=KEPT)).extend(event.lines[-KEPT:])
        for line in event.lines:
            if line[:8].lower() == "warning:" and line not in self.warnings:
                self.warnings.append(line)

    def _note_clock(self, task: TaskState) -> None:
        """Learn by how much the hub's clock is ahead of ours."""
        for moment in (task.created, task.started, task.completed):
            if moment is not None:
                ahead = moment - time.time()
                self._skew = ahead if self._skew is None and not task.ended else max(self._skew or 0.0, ahead)
                self._skew = max(self._skew, 0.0)

    def _elapsed(self, task: TaskState) -> float | None:
        if task.started is None:
            return None
        return max((task.completed or time.time() + (self._skew or 0.0)) - task.started, 0.0)

    def view(self) -> RenderableType:
        """What is shown now."""
        with self._lock:
            self._follow_resize()
            return self._view()

    def _follow_resize(self) -> None:
        """Begin on an empty screen when the terminal has another size: nobody knows where the old view is now."""
        size = self.console.size
        if self._size is not None and size != self._size and self._live.is_started:
            self.console.control(Control.clear(), Control.home())
        self._size = size

    def _view(self) -> RenderableType:
        height = max(self.console.size.height - MARGIN, 4)
        parts: list[RenderableType] = [*self._head()]
        below = self._foot()
        rows = self._rows(height - len(parts) - len(below))
        return Group(*parts, *rows, *below)

    def _head(self) -> list[RenderableType]:
        submitted, root = self.submitted, self._root
        title = Text(submitted.title if submitted and submitted.title else "container build", style="bold")
        if submitted:
            title.append(f"  task {submitted.task_id}", style="not bold")
            if submitted.url:
                title.append(f"  {submitted.url}", style="dim not bold")
        elapsed = self._elapsed(root) if root else None
        average = submitted.average if submitted else None
        part = format_percentage(elapsed or 0.0, average) if average else ""
        if elapsed is None:
            since = root.created if root else self._began
            times = f"waiting {format_clock(time.time() - (since or self._began))}"
            times += f", for a build of about {format_clock(average)}" if average else ""
        else:
            times = f"running {format_clock(elapsed)}"
            if average:
                times += (
                    f" of about {format_clock(average)}" if part else f", longer than the usual {format_clock(average)}"
                )
        head: list[RenderableType] = [_cut(title), _cut(Text(times))]
        if average and part:
            bar = Table.grid(padding=(0, 1))
            width = min(40, self.console.width - 8)
            bar.add_row(ProgressBar(total=average, completed=elapsed or 0.0, width=width), f"{part:>4}")
            head.append(bar)
        return head

    @property
    def _root(self) -> TaskState | None:
        return self.tasks[min(self.tasks)] if self.tasks else None

    def _rows(self, room: int) -> list[RenderableType]:
        """The tree: as many tasks as there is room for, those that run first, with the last lines of their logs."""
        tasks = sorted(self.tasks.values(), key=lambda task: (task.parent is not None, task.ended, task.id))
        shown = tasks if len(tasks) <= room else tasks[: max(room - 1, 1)]
        with_log = [task for task in shown if task.state == "OPEN" and self.lines.get(task.id)]
        rest = room - len(shown) - (len(tasks) > len(shown))
        each = min(rest // len(with_log), KEPT) if with_log else 0
        rows: list[RenderableType] = []
        for task in shown:
            rows.append(self._row(task))
            if each > 0 and task in with_log:
                lines = list(self.lines[task.id])[-each:]
                rows += [_cut(Text(f"{self._indent(task)}    {line.expandtabs()}", style="dim")) for line in lines]
        if len(tasks) > len(shown):
            rows.append(_cut(Text(f"  … {len(tasks) - len(shown)} more tasks", style="dim")))
        return rows

    def _indent(self, task: TaskState) -> str:
        depth = 0
        while task.parent in self.tasks and depth < 8:
            task = self.tasks[task.parent]
            depth += 1
        return "  " * depth

    def _row(self, task: TaskState) -> Text:
        mark, style = _LOOKS[task.state]
        if not self._unicode:
            mark = _PLAIN_MARKS[mark]
        elapsed = self._elapsed(task)
        row = Text(f"{self._indent(task)}")
        row.append(mark, style=style)
        row.append(f" {task.label or task.method}", style="bold")
        row.append(f" {STATE_NAMES[task.state]}" + (f" on {task.host}" if task.host else ""), style=style)
        if elapsed is not None:
            row.append(f"  {format_clock(elapsed)}")
        row.append(f"  task {task.id}", style="dim")
        return _cut(row)

    @property
    def _unicode(self) -> bool:
        return self.console.encoding.lower().startswith("utf")

    def _foot(self) -> list[RenderableType]:
        foot: list[RenderableType] = [_cut(Text(line, style="yellow")) for line in self.warnings]
        foot += [_cut(Text(line, style="bold yellow")) for line in self._waits()]
        if self.lost:
            event, since = self.lost
            reason = f" ({event.reason})" if event.reason else ""
            left = max(event.patience - (time.time() - since), 0.0)
            foot.append(
                _cut(
                    Text(
                        f"the hub does not answer{reason}, for {format_clock(time.time() - since)}; "
                        f"asking again for another {format_clock(left)}",
                        style="bold yellow",
                    )
                )
            )
        return foot

    def _waits(self) -> list[str]:
        return [f"task {event.task.id} still waits: {event.text}" for event in self.silent.values()]

    def _summary(self) -> list[Text]:
        """What stays in the scrollback: the tree as it was last."""
        tasks = sorted(self.tasks.values(), key=lambda task: (task.parent is not None, task.id))
        return [self._row(task) for task in tasks] + [
            Text(line, style="yellow") for line in (*self.warnings, *self._waits())
        ]


def _cut(text: Text) -> Text:
    """A line that is cut where the terminal ends, rather than wrapped."""
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
