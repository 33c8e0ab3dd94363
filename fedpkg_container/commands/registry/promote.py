"""Bring tested builds from the candidate registry to a target.

Copies the image that Koji recorded, by digest: its list, all arches, and what refers to them (SBOMs, signatures).
Then it sets the tags: version and release, and after it the target's floating ones. The build must be complete, and
in a tag of Koji that the target lets through. No tag moves to an older build, unless
--allow-downgrade says so. To repeat it changes nothing.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "bring tested builds to a target"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("nvr", nargs="*", metavar="NVR", help="builds")
    parser.add_argument("--tag", metavar="KOJI-TAG", help="the latest builds in a tag of Koji, instead of NVRs")
    add_target(parser)
    parser.add_argument("--allow-downgrade", action="store_true", help="move floating tags to older builds too")
    parser.add_argument(
        "--replace", action="store_true", help="take floating tags from images of other components, or of none"
    )
    parser.add_argument(
        "--verify", action="store_true", help="read and hash every blob that is copied, also where it is mounted"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print a report for programs")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Promote; the exit status."""
    import time

    from fedpkg_container.commands.registry.progress_bar import shown
    from fedpkg_container.commands.registry.results import show, status, summary
    from fedpkg_container.commands.terminal import print_json, print_lines
    from fedpkg_container.errors import UsageError
    from fedpkg_container.hub.candidates import candidates, tagged
    from fedpkg_container.hub.session import anonymous, contact
    from fedpkg_container.registry.promotion.promote import Wish, promote
    from fedpkg_container.registry.promotion.result import report
    from fedpkg_container.registry.promotion.tagging import Rules

    began = time.monotonic()
    target = site.target(arguments.to)
    if bool(arguments.nvr) == bool(arguments.tag):
        wrong = "NVRs and --tag exclude each other" if arguments.nvr else "no build is named"
        raise UsageError(wrong, solution="name NVRs; or --tag KOJI-TAG, for the latest builds in a tag of Koji")
    if arguments.tag and not target.lets_through(arguments.tag):
        raise UsageError(
            f"{target.name} lets no builds of {arguments.tag} through",
            solution=f"let through are: {' '.join(target.koji_tags)}",
        )
    session = anonymous(site.profile)
    with contact(session.baseurl):
        found = tagged(session, arguments.tag) if arguments.tag else candidates(session, arguments.nvr)
    wish = Wish(Rules(arguments.allow_downgrade, arguments.replace), arguments.dry_run, arguments.verify)
    told = (lambda _: None) if arguments.json else show
    with shown() as progress:
        outcomes = promote(site, target, found, wish, told=told, progress=progress)
    if arguments.json:
        seconds = time.monotonic() - began
        print_json(report(target.name, outcomes, dry_run=arguments.dry_run, seconds=seconds))
    else:
        print_lines(*summary(outcomes))
    return status(outcomes)
