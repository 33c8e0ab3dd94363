# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress bar for a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich import progress
from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from fedpkg_container.registry.progress import Progress


def shown() -> contextlib.AbstractContextManager[Progress]:
    """Return a progress bar if standard error is a terminal, otherwise a progress that shows nothing."""
    return _bar() if sys.stderr.isatty() else contextlib.nullcontext(Progress())


class _Rate(progress.DownloadColumn):
    """Column with bytes received, total bytes, and bytes per second."""

    def render(self, task: progress.Task) -> Text:
        """Return the column."""
        if task.fields["sized"]:
            return super().render(task).append(f" {decimal(int(task.speed or 0))}/s")
        return Text(decimal(task.fields["received"]) if task.fields["received"] else "")


class _Bar(Progress):
    """A line for the current step: items done, bytes received, and the rate if the total size is known."""

    def __init__(self, bars: progress.Progress) -> None:
        self._bars = bars
        self._task: progress.TaskID | None = None
        self._total, self._done, self._received, self._sized = 0, 0, 0, False

    def began(self, step: str, total: int, size: int = 0) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        self._total, self._done, self._received, self._sized = total, 0, 0, size > 0
        if total:
            self._task = self._bars.add_task(
                step, total=size or total, count=self._count, sized=self._sized, received=0
            )

    @property
    def _count(self) -> str:
        return f"{self._done}/{self._total}"

    def advanced(self) -> None:
        self._done += 1
        if self._task is not None:
            self._bars.update(self._task, advance=0 if self._sized else 1, count=self._count)

    def received(self, size: int) -> None:
        self._received += size
        if self._task is not None:
            self._bars.update(self._task, advance=size if self._sized else 0, received=self._received)


@contextlib.contextmanager
def _bar() -> Iterator[Progress]:
    """Show a bar on standard error until the end of the block; messages appear above it."""
    columns = (
        progress.TextColumn("{task.description:<12}"),
        progress.BarColumn(bar_width=None),
        progress.TextColumn("{task.fields[count]}"),
        _Rate(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # rich must not redirect standard output to the terminal if it goes to a pipe or file.
    with progress.Progress(
        *columns, console=console, transient=True, expand=True, redirect_stdout=sys.stdout.isatty()
    ) as bars:
        yield _Bar(bars)
