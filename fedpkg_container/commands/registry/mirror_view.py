"""How a run of a mirror is shown: a bar on a terminal while it goes on, and a few lines at its end."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from fedpkg_container.registry.mirror.progress import Progress
from fedpkg_container.registry.mirror.summary import Summary
from fedpkg_container.text import counted, printable_line


def shown() -> contextlib.AbstractContextManager[Progress]:
    """What shows the progress: a bar where standard error is a terminal, else nothing."""
    if not sys.stderr.isatty():
        return contextlib.nullcontext(Progress())
    from fedpkg_container.commands.registry.mirror_bar import bar

    return bar()


def summary_lines(summary: Summary, folder: Path) -> Iterator[str]:
    """What was done, as a few lines."""
    would = "dry run, nothing was changed: " if summary.dry_run else ""
    yield (
        f"{would}{printable_line(str(folder))}: {counted(summary.new, 'new blob')} ({decimal(summary.received)}),"
        f" {summary.linked} linked, {summary.present} present, {summary.deleted} deleted, {summary.waiting} waiting"
    )
    more = {"mended": summary.mended, "archives made": summary.archives, "foreign layers left out": summary.foreign}
    extra = "".join(f", {what}: {number}" for what, number in more.items() if number)
    yield (
        f"{counted(summary.repositories, 'repository')}, {counted(summary.tags, 'tag')} ({summary.asked} asked for),"
        f" {counted(summary.manifests, 'manifest')}{extra}; {counted(summary.requests, 'request')},"
        f" {summary.seconds:.1f} s"
    )
