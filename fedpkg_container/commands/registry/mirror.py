# SPDX-License-Identifier: GPL-2.0-or-later
"""Export the blobs reachable from a target's tags as a tree of files for web servers, rsync and MirrorManager.

With --probe, compare mirrors with that tree instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry import mirror_probe
from fedpkg_container.commands.registry.arguments import (
    complete_files,
    complete_targets,
    days,
    directory,
    parallel,
    size,
)
from fedpkg_container.text import pluralize, printable_line

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite
    from fedpkg_container.registry.mirror.options import Options, Summary

HELP = "export blobs as a tree of files for web servers and mirrors"


def summary_lines(summary: Summary, directory: Path, *, verified: bool) -> Iterator[str]:
    """Yield the summary in a few lines.

    :param verified: whether all existing files were verified
    """
    from rich.filesize import decimal

    would = "dry run, nothing was changed: " if summary.dry_run else ""
    size = f" ({decimal(summary.received)})" if summary.received else ""
    now_and_then = (
        (summary.linked, "linked"),
        (summary.repaired, "to be repaired" if summary.dry_run else "repaired"),
        (summary.archives, "archives created"),
        (summary.foreign, "foreign layers skipped"),
        (summary.deleted, "deleted"),
        (summary.waiting, "to be deleted later"),
    )
    more = "".join(f", {number} {what}" for number, what in now_and_then if number)
    new = pluralize(summary.new, "new blob")
    read = " and verified" if verified else ""
    yield f"{would}{printable_line(str(directory))}: {new}{size}, {summary.present} present{read}{more}"
    yield (
        f"{pluralize(summary.repositories, 'repository')}, {pluralize(summary.tags, 'tag')} "
        f"({summary.queried} queried), {pluralize(summary.manifests, 'manifest')}; "
        f"{pluralize(summary.requests, 'request')}, {summary.seconds:.1f} s"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    tree = parser.add_argument(
        "directory", type=directory, nargs="?", metavar="DIR", help="output directory (default: from the configuration)"
    )
    complete_files(tree)
    followed = parser.add_argument(
        "--from",
        dest="target",
        metavar="NAME",
        help="target whose tags to follow (default: from the configuration, or stable)",
    )
    complete_targets(followed)
    parser.add_argument(
        "--repository",
        action="append",
        dest="repositories",
        metavar="PATTERN",
        help="only mirror repositories matching PATTERN (repeatable; default: from the configuration, or all)",
    )
    parser.add_argument(
        "--parallel",
        type=parallel,
        metavar="N",
        help="number of concurrent requests (default: from the configuration, or 8)",
    )
    parser.add_argument(
        "--grace",
        type=days,
        metavar="DAYS",
        help="days to keep files that no tag references any more (default: from the configuration, or 7)",
    )
    parser.add_argument(
        "--rate",
        type=size,
        metavar="SIZE",
        help="bandwidth limit in bytes per second, e.g. 500K or 20M (default: from the configuration)",
    )
    parser.add_argument(
        "--archives",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="also write a docker-archive or OCI archive per build and architecture",
    )
    parser.add_argument("--full", action="store_true", help="query every tag, ignoring the promotion journal")
    parser.add_argument("--verify", action="store_true", help="verify all files and repair damaged ones")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without changing anything")
    parser.add_argument("--json", action="store_true", help="print a JSON report")
    mirror_probe.add_arguments(parser)


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    from fedpkg_container.commands.registry.progress_bar import shown
    from fedpkg_container.commands.terminal import print_error, print_json, print_lines, print_stderr
    from fedpkg_container.registry.mirror.run import mirror

    target = site.target(arguments.target or site.mirroring.target)
    registry = site.mirroring.registry if target.name == site.mirroring.target else ""
    options = _options(arguments, site)
    if mirror_probe.is_requested(arguments):
        return mirror_probe.run(arguments, site, options)
    with shown() as progress:
        summary = mirror(registry or target.registry, target.access, options, progress)
    if arguments.json:
        print_json(summary.report())
    else:
        print_lines(*summary_lines(summary, options.directory, verified=options.verify))
        print_stderr(*(f"note: {note}" for note in summary.notes))
        for error in summary.errors:
            print_error(error)
        if summary.errors and not summary.interrupted:
            print_stderr("existing files can be served; the next run will retry the rest")
    if summary.interrupted:
        print_stderr(f"stopped by {summary.interrupted}; the mirror is consistent and the next run will resume")
    return _status(summary)


def _status(summary: Summary) -> int:
    if summary.interrupted:
        return 130
    return 1 if summary.errors else 0


def _options(arguments: argparse.Namespace, site: DistributionSite) -> Options:
    """Return the options: arguments, with the site's configuration for the rest.

    :raises UsageError: if no mirror directory is given
    """
    from fedpkg_container.errors import UsageError
    from fedpkg_container.registry.mirror.options import DAY, Options

    config = site.mirroring
    tree = arguments.directory or config.directory
    if tree is None:
        raise UsageError("no mirror directory is given", solution=f"name it, or set [mirror] directory in {site.path}")
    target = site.target(arguments.target or config.target)
    return Options(
        tree,
        name=target.registry,
        repositories=tuple(arguments.repositories or config.repositories),
        prefix=target.prefix,
        parallel=config.parallel if arguments.parallel is None else arguments.parallel,
        grace=(config.grace if arguments.grace is None else arguments.grace) * DAY,
        rate=config.rate if arguments.rate is None else arguments.rate,
        journal=site.journal,
        full=arguments.full,
        verify=arguments.verify,
        archives=config.archives if arguments.archives is None else arguments.archives,
        dry_run=arguments.dry_run,
    )
