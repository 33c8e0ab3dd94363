"""Export the blobs that the stable tags reach as a tree of files for web servers, rsync and MirrorManager."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import complete_files, complete_targets, days, folder, parallel, size
from fedpkg_container.text import pluralize, printable_line

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite
    from fedpkg_container.registry.mirror.options import Options, Summary


def summary_lines(summary: Summary, folder: Path, *, verified: bool) -> Iterator[str]:
    """What was done, as a few lines.

    :param verified: whether all that was there was read
    """
    from rich.filesize import decimal

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
    new = pluralize(summary.new, "new blob")
    read = " and verified" if verified else ""
    yield f"{would}{printable_line(str(folder))}: {new}{size}, {summary.present} present{read}{more}"
    yield (
        f"{pluralize(summary.repositories, 'repository')}, {pluralize(summary.tags, 'tag')} "
        f"({summary.asked} asked for), {pluralize(summary.manifests, 'manifest')}; "
        f"{pluralize(summary.requests, 'request')}, {summary.seconds:.1f} s"
    )


HELP = "export blobs as a tree of files for web servers and mirrors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    tree = parser.add_argument("directory", type=folder, nargs="?", metavar="DIR", help="the tree; default: the site's")
    complete_files(tree)
    followed = parser.add_argument(
        "--from",
        dest="target",
        metavar="NAME",
        help="the target whose tags are followed; default: the site's, or stable",
    )
    complete_targets(followed)
    parser.add_argument(
        "--repository",
        action="append",
        dest="repositories",
        metavar="PATTERN",
        help="only repositories like this; can be repeated; default: the site's, or all",
    )
    parser.add_argument(
        "--parallel", type=parallel, metavar="N", help="requests at the same time; default: the site's, or 8"
    )
    parser.add_argument(
        "--grace",
        type=days,
        metavar="DAYS",
        help="how long a file stays that no tag reaches; default: the site's, or 7",
    )
    parser.add_argument(
        "--rate", type=size, metavar="SIZE", help="bytes a second at the most, as 500K or 20M; default: the site's"
    )
    parser.add_argument(
        "--archives",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="also write a docker-archive of each build and arch",
    )
    parser.add_argument("--full", action="store_true", help="ask for every tag, whatever the record of promote says")
    parser.add_argument("--verify", action="store_true", help="read the whole tree, and mend what is wrong in it")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Bring the tree up to date; the exit status."""
    from fedpkg_container.commands.registry.progress_bar import shown
    from fedpkg_container.commands.terminal import print_error, print_json, print_lines, print_stderr
    from fedpkg_container.registry.mirror.run import mirror

    target = site.target(arguments.target or site.mirroring.target)
    registry = site.mirroring.registry if target.name == site.mirroring.target else ""
    options = _options(arguments, site)
    with shown() as progress:
        summary = mirror(registry or target.registry, target.access, options, progress)
    if arguments.json:
        print_json(summary.report())
    else:
        print_lines(*summary_lines(summary, options.folder, verified=options.verify))
        for error in summary.errors:
            print_error(error)
        if summary.errors and not summary.interrupted:
            print_stderr("what is there can be served; the next run tries the rest again")
    if summary.interrupted:
        print_stderr(f"ended early by {summary.interrupted}; the tree can be served, and the next run goes on")
    return _status(summary)


def _status(summary: Summary) -> int:
    if summary.interrupted:
        return 130
    return 1 if summary.errors else 0


def _options(arguments: argparse.Namespace, site: DistributionSite) -> Options:
    """What is asked for, with what the site decided for the rest.

    :raises UsageError: it cannot be done so
    """
    from fedpkg_container.errors import UsageError
    from fedpkg_container.registry.mirror.options import DAY, Options

    chosen = site.mirroring
    tree = arguments.directory or chosen.directory
    if tree is None:
        raise UsageError(
            "there is no folder for the tree", solution=f"name it, or set [mirror] directory in {site.path}"
        )
    target = site.target(arguments.target or chosen.target)
    return Options(
        tree,
        name=target.registry,
        repositories=tuple(arguments.repositories or chosen.repositories),
        prefix=target.prefix,
        parallel=chosen.parallel if arguments.parallel is None else arguments.parallel,
        grace=(chosen.grace if arguments.grace is None else arguments.grace) * DAY,
        rate=chosen.rate if arguments.rate is None else arguments.rate,
        record=site.record,
        full=arguments.full,
        verify=arguments.verify,
        archives=chosen.archives if arguments.archives is None else arguments.archives,
        dry_run=arguments.dry_run,
    )
