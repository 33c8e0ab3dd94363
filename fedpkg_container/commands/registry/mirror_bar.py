"""The bar that shows on a terminal how far a run of a mirror is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich import progress
from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from fedpkg_container.registry.mirror.progress import Progress


class _Rate(progress.ProgressColumn):
    """How much came, and how much a second, where bytes are counted."""

    def render(self, task: progress.Task) -> Text:
        """The column."""
        if not task.fields["sized"]:
            return Text("")
        came, total, speed = (decimal(int(number or 0)) for number in (task.completed, task.total, task.speed))
        return Text(f"{came}/{total} {speed}/s", no_wrap=True)


class _Bar(Progress):
    """A line for the step in progress: how many are done, and where bytes count, how many came and how fast."""

    def __init__(self, bars: progress.Progress) -> None:
        self._bars = bars
        self._task: progress.TaskID | None = None
        self._total, self._done, self._sized = 0, 0, False

    def began(self, step: str, total: int, size: int = 0) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        self._total, self._done, self._sized = total, 0, size > 0
        if total:
            self._task = self._bars.add_task(step, total=size or total, count=self._count, sized=self._sized)

    @property
    def _count(self) -> str:
        return f"{self._done}/{self._total}"

    def advanced(self) -> None:
        self._done += 1
        if self._task is not None:
            self._bars.update(self._task, advance=0 if self._sized else 1, count=self._count)

    def received(self, size: int) -> None:
        if self._task is not None and self._sized:
            self._bars.update(self._task, advance=size)


@contextlib.contextmanager
def bar() -> Iterator[Progress]:
    """A bar on standard error, which is gone at the end."""
    columns = (
        progress.TextColumn("{task.description:<12}"),
        progress.BarColumn(bar_width=None),
        progress.TextColumn("{task.fields[count]}"),
        _Rate(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as bars:
        yield _Bar(bars)
