"""Show the contents of a target: repositories, tags, builds, and who promoted them when."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "show the contents of a target"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "repository", nargs="*", metavar="REPOSITORY", help="repositories, without registry and prefix (default: all)"
    )
    add_target(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    from dataclasses import asdict

    from fedpkg_container.commands.terminal import complain, say, say_json
    from fedpkg_container.registry.promotion.listing import list_images
    from fedpkg_container.registry.promotion.result import FORMAT

    target = site.target(arguments.to)
    found = list_images(site, target, arguments.repository)
    if arguments.json:
        say_json({"format": FORMAT, "target": target.name, "images": [asdict(each) for each in found]})
        return 0
    if not found:
        complain(f"{target.name} has no images" + (" in these repositories" if arguments.repository else ""))
    for each in found:
        when = f"promoted {each.promoted} by {each.by}" if each.promoted else "not in the promotion journal"
        say(
            f"{each.repository}: {' '.join(each.tags)}",
            f"    {each.nvr or 'unknown build'}, {when}",
            f"    {each.digest}",
            f"    arches: {', '.join(each.arches) or 'unknown'}",
        )
    return 0
