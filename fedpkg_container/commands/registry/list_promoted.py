"""Show what is in a target: repositories, tags, builds, and who promoted them when."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "show what is in a target"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("repository", nargs="*", metavar="REPOSITORY", help="repositories, as builds name them")
    add_target(parser)
    parser.add_argument("--json", action="store_true", help="print a report for programs")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """List; the exit status."""
    from dataclasses import asdict

    from fedpkg_container.commands.terminal import print_json, print_lines, print_stderr
    from fedpkg_container.registry.promotion.listing import listed
    from fedpkg_container.registry.promotion.result import FORMAT

    target = site.target(arguments.to)
    found = listed(site, target, arguments.repository)
    if arguments.json:
        print_json({"format": FORMAT, "target": target.name, "images": [asdict(each) for each in found]})
        return 0
    if not found:
        print_stderr(f"there is nothing in {target.name}" + (" of these repositories" if arguments.repository else ""))
    for each in found:
        when = f"promoted {each.promoted} by {each.by}" if each.promoted else "not in the record"
        print_lines(
            f"{each.repository}: {' '.join(each.tags)}",
            f"    {each.nvr or 'an image that does not print_lines which build it is'}, {when}",
            f"    {each.digest}",
            f"    arches: {', '.join(each.arches) or 'unknown'}",
        )
    return 0
