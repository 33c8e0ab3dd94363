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
    size = f" ({decimal(summary.received)})" if summary.received else ""
    now_and_then = (
        (summary.linked, "linked"),
        (summary.mended, "mended"),
        (summary.archives, "archives made"),
        (summary.foreign, "foreign layers left out"),
        (summary.deleted, "deleted"),
        (summary.waiting, "to be deleted later"),
    )
    more = "".join(f", {number} {what}" for number, what in now_and_then if number)
    new = counted(summary.new, "new blob")
    yield f"{would}{printable_line(str(folder))}: {new}{size}, {summary.present} present{more}"
    yield (
        f"{counted(summary.repositories, 'repository')}, {counted(summary.tags, 'tag')} ({summary.asked} asked for),"
        f" {counted(summary.manifests, 'manifest')}; {counted(summary.requests, 'request')}, {summary.seconds:.1f} s"
    )
