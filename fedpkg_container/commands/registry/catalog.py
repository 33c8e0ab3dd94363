# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a static web site of the contents of a target: repositories, builds, packages, and a feed of promotions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import complete_files, complete_targets, directory

if TYPE_CHECKING:
    from pathlib import Path

    from fedpkg_container.registry.catalog.views import Labels
    from fedpkg_container.registry.config import DistributionSite, Target

HELP = "write a static web site of the contents of a target"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    complete_files(
        parser.add_argument(
            "directory",
            nargs="?",
            type=directory,
            metavar="DIR",
            help="output directory (default: from the configuration); a new or empty one, or that of an earlier run",
        )
    )
    complete_targets(
        parser.add_argument(
            "--from",
            dest="target",
            metavar="NAME",
            help="target section to show (default: from the configuration, or stable)",
        )
    )
    parser.add_argument(
        "--full", action="store_true", help="query every repository and referrer, ignoring the promotion journal"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status.

    :raises UsageError: if no output directory is given
    """
    from fedpkg_container.commands.registry.progress_bar import shown
    from fedpkg_container.commands.terminal import print_error, print_json, print_lines
    from fedpkg_container.errors import UsageError
    from fedpkg_container.registry.catalog.run import Options, update_catalog
    from fedpkg_container.text import pluralize

    target = site.target(arguments.target or site.catalog.target)
    output: Path | None = arguments.directory or site.catalog.directory
    if output is None:
        raise UsageError("no output directory is given", solution=f"name it, or set [catalog] directory in {site.path}")
    options = Options(output.resolve(), _labels(site, target), site.journal, full=arguments.full)
    with shown() as progress:
        summary = update_catalog(target, options, progress)
    if arguments.json:
        print_json(summary.report())
    else:
        print_lines(
            f"{output}: {pluralize(summary.repositories, 'repository')} ({summary.queried} queried), "
            f"{pluralize(summary.images, 'image')} ({summary.fetched} fetched), "
            f"{pluralize(summary.written, 'file')} written"
        )
        for error in summary.errors:
            print_error(error)
    return 1 if summary.errors else 0


def _labels(site: DistributionSite, target: Target) -> Labels:
    """Return what all pages share; a front end is that of the target that is mirrored."""
    import logging

    from fedpkg_container.errors import ConfigurationError
    from fedpkg_container.hub.session import site_urls
    from fedpkg_container.registry.catalog.views import Labels

    front_end = site.front_end if target.name == site.mirroring.target else None
    name = front_end.server_names[0] if front_end else target.registry
    try:
        koji = site_urls(site.profile).web
    except ConfigurationError as error:
        logging.getLogger(__name__).info("no links to Koji: %s", error.reason)
        koji = ""
    title = f"Container images of {name}"
    return Labels(title, name, koji, site.catalog.url, has_feed=site.journal is not None)
