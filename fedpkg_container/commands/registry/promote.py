# SPDX-License-Identifier: GPL-2.0-or-later
"""Promote tested builds from the candidate registry to a target.

Copies the image recorded in Koji by digest: its image index, all architectures, and SBOMs and signatures. Signs it, if
requested or required by the target. Then sets the tag of version and release, and the target's floating tags. The build
must be complete, and in a Koji tag that the target accepts. Floating tags are not moved to an older build without
--allow-downgrade. Promoting the same build again is a no-op.

With mirrors, promote in two steps: --stage copies, mirror exports the blobs, and --publish sets the tags.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import (
    add_koji_tag,
    add_target,
    complete_files,
    directory,
    duration,
    koji_tag,
    mirror_url,
)

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "promote tested builds to a target"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("nvr", nargs="*", metavar="NVR", help="builds")
    add_koji_tag(parser.add_mutually_exclusive_group(), help="promote the latest builds in a Koji tag, instead of NVRs")
    add_target(parser)
    parser.add_argument("--allow-downgrade", action="store_true", help="also move floating tags to older builds")
    parser.add_argument(
        "--replace", action="store_true", help="take over floating tags from images of other or unknown components"
    )
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument(
        "--stage", action="store_true", help="copy the images without setting tags, so that mirrors can fetch them"
    )
    steps.add_argument(
        "--publish",
        action="store_true",
        help="set the tags of staged images, unless the mirror tree or a mirror lacks one of their blobs",
    )
    tree = parser.add_argument(
        "--tree",
        type=directory,
        metavar="DIR",
        help="with --publish: directory that mirror writes, or none (default: from the configuration)",
    )
    complete_files(tree)
    parser.add_argument(
        "--probe",
        action="append",
        type=mirror_url,
        metavar="URL",
        help="with --publish: base URL of a mirror or CDN that must have the blobs (repeatable; default: from the"
        " configuration)",
    )
    parser.add_argument(
        "--wait",
        type=duration,
        metavar="TIME",
        help="with --publish: wait up to this time for missing blobs, e.g. 90 or 30m (default: no wait)",
    )
    parser.add_argument("--verify", action="store_true", help="read and hash every copied blob, including mounted ones")
    parser.add_argument("--sign", action="store_true", help="sign the images before their tags are set")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without changing anything")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    import time

    from fedpkg_container.commands.registry.progress_bar import shown
    from fedpkg_container.commands.registry.publishing import check_usage, publish_builds
    from fedpkg_container.commands.registry.results import send_after, show, show_delivery, status, summary
    from fedpkg_container.commands.terminal import print_json, print_lines
    from fedpkg_container.errors import UsageError
    from fedpkg_container.hub.candidates import find_candidates, tagged_candidates
    from fedpkg_container.hub.session import anonymous_session, hub_errors
    from fedpkg_container.registry.messages.outbox import Outbox
    from fedpkg_container.registry.promotion.promote import BuildPromotion, PromoteOptions, promote
    from fedpkg_container.registry.promotion.result import report
    from fedpkg_container.registry.promotion.stage import BuildStaging
    from fedpkg_container.registry.promotion.tagging import TagRules

    began = time.monotonic()
    target = site.target(arguments.to)
    check_usage(arguments)
    tag = koji_tag(arguments)
    if bool(arguments.nvr) == bool(tag):
        problem = "NVRs and --koji-tag exclude each other" if arguments.nvr else "no build is given"
        raise UsageError(problem, solution="name NVRs, or use --koji-tag TAG for the latest builds in a Koji tag")
    if tag and not target.allows(tag):
        raise UsageError(
            f"target {target.name!r} does not accept builds from Koji tag {tag}",
            solution=f"accepted Koji tags: {' '.join(target.koji_tags)}",
        )
    session = anonymous_session(site.profile)
    with hub_errors(session.baseurl):
        builds = tagged_candidates(session, tag) if tag else find_candidates(session, arguments.nvr)
    options = PromoteOptions(
        TagRules(arguments.allow_downgrade, arguments.replace), arguments.dry_run, arguments.verify, arguments.sign
    )
    outbox = Outbox.of(site, dry_run=arguments.dry_run)
    on_result = send_after((lambda _: None) if arguments.json else show, outbox)
    with shown() as progress:
        if arguments.publish:
            results = publish_builds(arguments, site, target, builds, options, on_result=on_result, progress=progress)
        else:
            steps = BuildStaging if arguments.stage else BuildPromotion
            results = promote(site, target, builds, options, steps=steps, on_result=on_result, progress=progress)
    delivery = show_delivery(outbox)
    if arguments.json:
        seconds = time.monotonic() - began
        print_json({**report(target.name, results, dry_run=arguments.dry_run, seconds=seconds), **delivery})
    else:
        print_lines(*summary(results))
    return status(results)
