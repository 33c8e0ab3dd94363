"""How a run of a mirror is shown at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from fedpkg_container.registry.mirror.run import Summary
from fedpkg_container.text import counted, printable_line


def summary_lines(summary: Summary, folder: Path, *, verified: bool) -> Iterator[str]:
    """What was done, as a few lines.

    :param verified: whether all that was there was read
    """
    would = "dry run, nothing was changed: " if summary.dry_run else ""
    size = f" ({decimal(summary.received)})" if summary.received else ""
    now_and_then = (
        (summary.linked, "linked"),
        (summary.mended, "would be mended" if summary.dry_run else "mended"),
        (summary.archives, "archives made"),
        (summary.foreign, "foreign layers left out"),
        (summary.deleted, "deleted"),
        (summary.waiting, "to be deleted later"),
    )
    more = "".join(f", {number} {what}" for number, what in now_and_then if number)
    new = counted(summary.new, "new blob")
    read = " and verified" if verified else ""
    yield f"{would}{printable_line(str(folder))}: {new}{size}, {summary.present} present{read}{more}"
    yield (
        f"{counted(summary.repositories, 'repository')}, {counted(summary.tags, 'tag')} ({summary.asked} asked for),"
        f" {counted(summary.manifests, 'manifest')}; {counted(summary.requests, 'request')}, {summary.seconds:.1f} s"
    )
