# SPDX-License-Identifier: GPL-2.0-or-later
"""Reverse the promotion of builds.

Floating tags are moved back to the previous build according to the promotion journal, if the registry still has it.
--delete also deletes the image, with its architectures, SBOMs and signatures, unless other tags share them.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target, complete_promoted

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "reverse promotions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    complete_promoted(parser.add_argument("nvr", nargs="+", metavar="NVR", help="builds"))
    add_target(parser)
    parser.add_argument("--delete", action="store_true", help="also delete the images, unless other tags share them")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without changing anything")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    import time

    from fedpkg_container.commands.registry.prune import garbage_collection
    from fedpkg_container.commands.registry.results import show, status, summary
    from fedpkg_container.commands.terminal import print_json, print_lines
    from fedpkg_container.registry.promotion.result import report
    from fedpkg_container.registry.promotion.unpromote import unpromote

    began = time.monotonic()
    target = site.target(arguments.to)
    on_result = (lambda _: None) if arguments.json else show
    results = unpromote(
        site, target, arguments.nvr, delete=arguments.delete, dry_run=arguments.dry_run, on_result=on_result
    )
    if arguments.json:
        seconds = time.monotonic() - began
        print_json(report(target.name, results, dry_run=arguments.dry_run, seconds=seconds))
    else:
        print_lines(*summary(results))
        if any(result.deleted for result in results) and not arguments.dry_run:
            print_lines(garbage_collection(target.registry))
    return status(results)
