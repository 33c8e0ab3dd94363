"""Take promoted builds back.

Floating tags go back to the build before, which the record of promotions knows and the registry must still have. With
--delete the image goes too, with its arches and what refers to them, as far as no other tag has them.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target, complete_promoted

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "take promoted builds back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    complete_promoted(parser.add_argument("nvr", nargs="+", metavar="NVR", help="builds"))
    add_target(parser)
    parser.add_argument("--delete", action="store_true", help="delete the images, as far as no other tag has them")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print a report for programs")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Take back; the exit status."""
    import time

    from fedpkg_container.commands.registry.prune import garbage_collection
    from fedpkg_container.commands.registry.results import show, status, summary
    from fedpkg_container.commands.terminal import print_json, print_lines
    from fedpkg_container.registry.promotion.result import report
    from fedpkg_container.registry.promotion.unpromote import unpromote

    began = time.monotonic()
    target = site.target(arguments.to)
    told = (lambda _: None) if arguments.json else show
    outcomes = unpromote(site, target, arguments.nvr, delete=arguments.delete, dry_run=arguments.dry_run, told=told)
    if arguments.json:
        seconds = time.monotonic() - began
        print_json(report(target.name, outcomes, dry_run=arguments.dry_run, seconds=seconds))
    else:
        print_lines(*summary(outcomes))
        if any(each.deleted for each in outcomes) and not arguments.dry_run:
            print_lines(garbage_collection(target.registry))
    return status(outcomes)
