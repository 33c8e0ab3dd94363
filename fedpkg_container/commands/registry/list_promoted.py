# SPDX-License-Identifier: GPL-2.0-or-later
"""Show the contents of a target: repositories, tags, builds, and who promoted them when."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite
    from fedpkg_container.registry.promotion.listing import PromotedImage

HELP = "show the contents of a target"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "repository", nargs="*", metavar="REPOSITORY", help="repositories, without registry and prefix (default: all)"
    )
    add_target(parser)
    parser.add_argument("--staged", action="store_true", help="show only builds that are staged, but not published")
    parser.add_argument("--verify", action="store_true", help="verify the signatures with the public keys of [signing]")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    from dataclasses import asdict

    from fedpkg_container.commands.terminal import print_error, print_json, print_lines, print_stderr
    from fedpkg_container.registry.promotion.listing import list_images
    from fedpkg_container.registry.promotion.result import FORMAT

    target = site.target(arguments.to)
    listing = list_images(site, target, arguments.repository, staged=arguments.staged, verify=arguments.verify)
    status = 1 if listing.errors or not all(image.is_trusted for image in listing.images) else 0
    if arguments.json:
        images = [asdict(image) for image in listing.images]
        print_json({"format": FORMAT, "target": target.name, "images": images, "errors": listing.errors})
        return status
    if not listing.images and not listing.errors:
        what = "staged images" if arguments.staged else "images"
        print_stderr(f"{target.name} has no {what}" + (" in these repositories" if arguments.repository else ""))
    for image in listing.images:
        change = "staged" if arguments.staged else "promoted"
        when = f"{change} {image.promoted} by {image.by}" if image.promoted else "not in the promotion journal"
        print_lines(
            f"{image.repository}: {' '.join(image.tags)}",
            f"    {image.nvr or 'unknown build'}, {when}",
            f"    {image.digest}",
            f"    arches: {', '.join(image.arches) or 'unknown'}",
            *_signature_lines(image),
        )
    for error in listing.errors:
        print_error(error)
    return status


def _signature_lines(image: PromotedImage) -> list[str]:
    """Return the lines about the signatures of an image; none if they were not verified."""
    signature = image.signature
    if signature is None:
        return []
    by = f" by {', '.join(signature.keys)} ({', '.join(signature.formats)})" if signature.keys else ""
    return [f"    {signature.status}{by}", *(f"        {problem}" for problem in signature.problems)]
