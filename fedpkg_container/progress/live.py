# SPDX-License-Identifier: GPL-2.0-or-later
"""Live view, redrawn in place: the task tree, its progress, and the last lines of the logs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Collection
from dataclasses import replace
from types import TracebackType
from typing import TextIO

from rich.cells import cell_len
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
    Requesting,
    Responded,
    Submitted,
    TaskChanged,
    TaskState,
)
from fedpkg_container.progress.formatting import format_clock, format_percentage, is_plain_url, uses_color
from fedpkg_container.progress.keyboard import KeyboardEcho
from fedpkg_container.progress.look import ASCII_SIGNS, LOOKS, RICH_STYLES, task_text
from fedpkg_container.progress.plain import Renderer
from fedpkg_container.signals import on_suspend, suspend
from fedpkg_container.text import format_duration

#: Redraws per second; they also advance the displayed times.
REDRAWS = 4
#: Lines of each log, and warnings, that the view can display.
MAX_LOG_LINES = 40
MAX_WARNINGS = 5
#: Lines of one message, which is wrapped.
MAX_MESSAGE_LINES = 4
#: Empty lines below the view.
MARGIN = 2
#: Parts of the line of a task.
ALL_PARTS = frozenset({"column", "state", "koji", "host", "task"})
#: Seconds after which a request without a response is displayed.
SLOW_RESPONSE = 2.0


class LiveRenderer(Renderer):
    """Displays events as a view of the whole build.

    :param stream: a terminal
    :param warnings: warnings to display below the tasks from the start
    :param console: for tests; by default one is created for the stream
    """

    def __init__(self, stream: TextIO, *, warnings: tuple[str, ...] = (), console: Console | None = None) -> None:
        self.console = console or Console(
            file=stream, highlight=False, markup=False, emoji=False, no_color=not uses_color(stream)
        )
        self.submitted: Submitted | None = None
        self.tasks: dict[int, TaskState] = {}
        self.lines: dict[int, deque[str]] = {}
        self.warnings: deque[str] = deque(warnings, maxlen=MAX_WARNINGS)
        self.lost: tuple[ContactLost, float] | None = None
        self.no_builder: dict[str, NoBuilder] = {}
        self._requested: float | None = None
        self._clock_skew: float | None = None
        self._size: ConsoleDimensions | None = None
        self._lock = threading.RLock()  # rich redraws in a separate thread
        self._started = time.time()
        self._echo = KeyboardEcho(stream)
        self._is_recording = self._is_suspend_pending = False
        self._signals = contextlib.ExitStack()
        self._live = self._make_live()

    def _make_live(self) -> Live:
        return Live(
            console=self.console,
            refresh_per_second=REDRAWS,
            transient=True,
            get_renderable=self._view_above_cursor,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveRenderer:
        self._echo.turn_off()
        self._live.start(refresh=True)
        self._signals.enter_context(on_suspend(self._request_suspend))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._signals.close()
        try:
            self._live.stop()
        finally:
            self._echo.restore()
        for line in self._summary():
            self.console.print(line, soft_wrap=True)

    def __call__(self, event: Event) -> None:
        """Record one event; it is displayed with the next redraw."""
        self._is_recording = True
        with self._lock:
            self._record(event)
        self._is_recording = False
        if self._is_suspend_pending:
            self._suspend()

    def _request_suspend(self) -> None:
        """Suspend on Ctrl-Z, but not while the lock is held that a redraw may wait for."""
        self._is_suspend_pending = True
        if not self._is_recording:
            self._suspend()

    def _suspend(self) -> None:
        """Erase the view, show the cursor and the echo of keys, and stop; after that, draw the view again."""
        self._is_suspend_pending = False
        self._live.stop()
        self._echo.restore()
        suspend()
        self._echo.turn_off()
        self._live = self._make_live()
        self._live.start(refresh=True)

    def _record(self, event: Event) -> None:
        if isinstance(event, LogLines):
            self._log(event)
        elif isinstance(event, TaskChanged):
            self._update_clock_skew(event.task)
            self.tasks[event.task.id] = event.task
        elif isinstance(event, Submitted):
            self.submitted = event
        elif isinstance(event, (Requesting, Responded)):
            self._requested = time.time() if isinstance(event, Requesting) else None
        elif isinstance(event, ContactLost):
            self.lost = (event, time.time() - event.seconds)
        elif isinstance(event, ContactRegained):
            self.lost = None
            self.warnings.append(f"the hub did not respond for {format_duration(event.seconds)}")
        elif isinstance(event, NoBuilder):
            self.no_builder[event.task.arch] = event
        elif isinstance(event, BuilderSeen):
            self.no_builder.pop(event.arch, None)

    def _log(self, event: LogLines) -> None:
        self.lines.setdefault(event.task.id, deque(maxlen=MAX_LOG_LINES)).extend(event.lines[-MAX_LOG_LINES:])
        for line in event.lines:
            if line[:8].lower() == "warning:" and line not in self.warnings:
                self.warnings.append(line)

    def _update_clock_skew(self, task: TaskState) -> None:
        """Estimate by how many seconds the hub's clock is ahead of the local one."""
        for timestamp in (task.created, task.started, task.completed):
            if timestamp is not None:
                ahead = timestamp - time.time()
                is_first = self._clock_skew is None and not task.ended
                self._clock_skew = max(ahead if is_first else max(self._clock_skew or 0.0, ahead), 0.0)

    def _elapsed(self, task: TaskState) -> float | None:
        if task.started is None:
            return None
        return max((task.completed or time.time() + (self._clock_skew or 0.0)) - task.started, 0.0)

    def view(self) -> RenderableType:
        """Return the current renderable."""
        with self._lock:
            self._follow_resize()
            return self._view()

    def _view_above_cursor(self) -> RenderableType:
        """Return the view with an empty line below it: the terminal echoes ^C there.

        At the end of a full line the echo would wrap, and the view would be erased one line too low.
        """
        return Group(self.view(), Text())

    def _follow_resize(self) -> None:
        """Clear the screen when the terminal was resized: the position of the old view is unknown then."""
        size = self.console.size
        if self._size is not None and size != self._size and self._live.is_started:
            self.console.control(Control.clear(), Control.home())
        self._size = size

    def _view(self) -> RenderableType:
        height = max(self.console.size.height - MARGIN, 4)
        header, footer = self._header(), self._footer()
        rows = self._rows(height - len(header) - len(footer))
        return Group(*header, *rows, *footer)

    def _header_of_several(self, roots: list[TaskState]) -> list[RenderableType]:
        ended = sum(task.ended for task in roots)
        title = Text(f"{len(roots)} container builds", style="bold")
        return [_cut(title), _cut(Text(f"{ended} ended, {len(roots) - ended} not ended"))]

    def _header(self) -> list[RenderableType]:
        roots = [task for task in self.tasks.values() if task.parent not in self.tasks]
        if len(roots) > 1:
            return self._header_of_several(roots)
        submitted, root = self.submitted, self._root
        titles = self._titles(submitted)
        elapsed = self._elapsed(root) if root else None
        average = submitted.average if submitted else None
        percentage = format_percentage(elapsed or 0.0, average) if average else ""
        if elapsed is None:
            since = root.created if root else self._started
            times = f"waiting {format_clock(time.time() - (since or self._started))}"
            times += f", average build time {format_clock(average)}" if average else ""
        else:
            times = f"running {format_clock(elapsed)}"
            if average:
                times += (
                    f" of about {format_clock(average)}"
                    if percentage
                    else f", above the average of {format_clock(average)}"
                )
        head: list[RenderableType] = [*titles, *self._wrapped(Text(times))]
        if average and percentage:
            bar = Table.grid(padding=(0, 1))
            width = min(40, self.console.width - 8)
            bar.add_row(ProgressBar(total=average, completed=elapsed or 0.0, width=width), f"{percentage:>4}")
            head.append(bar)
        return head

    def _titles(self, submitted: Submitted | None) -> list[Text]:
        """Return the name of the build and its task; on separate lines if the terminal is too narrow for both."""
        name = submitted.title if submitted and submitted.title else "container build"
        if submitted is None:
            return [_cut(Text(name, style="bold"))]
        task, url = f"task {submitted.task_id}", submitted.url
        link = f"link {url}" if is_plain_url(url) else ""
        width = cell_len(name) + 2 + len(task)
        if width > self.console.width:
            return [*self._wrapped(Text(name, style="bold")), _cut(Text(task, style=link))]
        title = Text.assemble((name, "bold"), "  ", (task, link))
        if url and width + 2 + len(url) <= self.console.width:
            title.append(f"  {url}", style=f"dim {link}".strip())
        return [title]

    @property
    def _root(self) -> TaskState | None:
        return self.tasks[min(self.tasks)] if self.tasks else None

    def _rows(self, height: int) -> list[RenderableType]:
        """Return the task tree in at most ``height`` lines: running tasks first, with the last lines of their logs."""
        tasks = self._tree(running_first=True)
        shown = tasks if len(tasks) <= height else tasks[: max(height - 1, 1)]
        with_log = [task for task in shown if task.state == "OPEN" and self.lines.get(task.id)]
        free = height - len(shown) - (len(tasks) > len(shown))
        log_lines = min(free // len(with_log), MAX_LOG_LINES) if with_log else 0
        rows: list[RenderableType] = []
        for task in shown:
            rows.append(self._row(task))
            if log_lines > 0 and task in with_log:
                lines = list(self.lines[task.id])[-log_lines:]
                rows += [_cut(Text(f"{self._indent(task)}    {line.expandtabs()}", style="dim")) for line in lines]
        if len(tasks) > len(shown):
            rows.append(_cut(Text(f"  … {len(tasks) - len(shown)} more tasks", style="dim")))
        return rows

    def _tree(self, *, running_first: bool = False) -> list[TaskState]:
        """Return the tasks, each followed by its descendants."""
        children: dict[int | None, list[TaskState]] = {}
        for task in sorted(self.tasks.values(), key=lambda task: (running_first and task.ended, task.id)):
            children.setdefault(task.parent if task.parent in self.tasks else None, []).append(task)
        tasks, pending = [], children.get(None, [])[::-1]
        while pending:
            tasks.append(task := pending.pop())
            pending += children.get(task.id, [])[::-1]
        return tasks

    def _indent(self, task: TaskState) -> str:
        depth = 0
        while task.parent in self.tasks and depth < 8:
            task = self.tasks[task.parent]
            depth += 1
        return "  " * depth

    @staticmethod
    def _name(task: TaskState) -> str:
        return task.label or task.method

    def _name_width(self) -> int:
        """Return the width of the first column: indentation, sign and name of every task."""
        return max(cell_len(f"{self._indent(task)}x {self._name(task)}") for task in self.tasks.values())

    def _row(self, task: TaskState) -> Text:
        """Return the line of a task; in a narrow terminal without the less important parts, and cut."""
        for parts in (ALL_PARTS, {"state", "host", "task"}, {"state", "task"}, {"state"}, {"task"}):
            row = self._row_of(task, parts)
            if row.cell_len <= self.console.width:
                break
        return _cut(row)

    def _row_of(self, task: TaskState, parts: Collection[str]) -> Text:
        """Return the line of a task.

        :param parts: ``column`` (aligned with other tasks), ``state`` (words for the state), ``koji`` (Koji's word for
            the state), ``host``, ``task`` (the word before the ID)
        """
        look = LOOKS[task.state]
        style = RICH_STYLES[look.style]
        elapsed = self._elapsed(task)
        row = Text(f"{self._indent(task)}")
        row.append(look.sign if self._unicode else ASCII_SIGNS[look.sign], style=style)
        row.append(f" {self._name(task)}", style="bold")
        if "column" in parts:
            row.append(" " * (self._name_width() - row.cell_len))
        if "state" in parts:
            shown = task if "host" in parts else replace(task, host="")
            row.append(f" {task_text(shown, koji='koji' in parts)}", style=style)
        if elapsed is not None:
            row.append(f"  {format_clock(elapsed)}")
        row.append(f"  {'task ' if 'task' in parts else ''}{task.id}", style="dim")
        return row

    @property
    def _unicode(self) -> bool:
        return self.console.encoding.lower().startswith("utf")

    def _footer(self) -> list[RenderableType]:
        messages = [Text(line, style="yellow") for line in self.warnings]
        messages += [Text(line, style="bold yellow") for line in self._waiting()]
        if contact := self._contact():
            messages.append(Text(contact, style="bold yellow"))
        return [line for message in messages for line in self._wrapped(message)]

    def _contact(self) -> str:
        """Return what is displayed about a hub that does not respond; empty if it does."""
        now = time.time()
        if self.lost:
            event, since = self.lost
            reason = f" ({event.reason})" if event.reason else ""
            left = max(event.retry_timeout - (now - since), 0.0)
            return (
                f"no response from the hub for {format_clock(now - since)}{reason}; "
                f"retrying for another {format_clock(left)}"
            )
        if self._requested is not None and now - self._requested >= SLOW_RESPONSE:
            return f"no response from the hub for {format_clock(now - self._requested)}"
        return ""

    def _wrapped(self, message: Text) -> list[Text]:
        """Return the lines of a message: it is wrapped rather than cut before its number."""
        lines = list(message.wrap(self.console, self.console.width))
        return [_cut(line) for line in lines[:MAX_MESSAGE_LINES]]

    def _waiting(self) -> list[str]:
        return [f"task {event.task.id} is still waiting: {event.text}" for event in self.no_builder.values()]

    def _summary(self) -> list[Text]:
        """Return the lines that remain after the view: the final state of the task tree."""
        tasks = self._tree()
        return [self._row(task) for task in tasks] + [
            Text(line, style="yellow") for line in (*self.warnings, *self._waiting())
        ]


def _cut(text: Text) -> Text:
    """Truncate a line at the edge of the terminal instead of wrapping it."""
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
