# SPDX-License-Identifier: GPL-2.0-or-later
"""Reverse the promotion of builds.

Floating tags are moved back to the previous build according to the promotion journal, if the registry still has it.
--delete also deletes the image, with its architectures, SBOMs and signatures, unless other tags share them. --untag
also removes the build's Koji tags; otherwise, the next promotion of the Koji tag promotes the build again.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import add_target, complete_promoted

if TYPE_CHECKING:
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.registry.config import DistributionSite, Target
    from fedpkg_container.registry.promotion.result import PromotionResult

HELP = "reverse promotions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    complete_promoted(parser.add_argument("nvr", nargs="+", metavar="NVR", help="builds"))
    add_target(parser)
    parser.add_argument("--delete", action="store_true", help="also delete the images, unless other tags share them")
    parser.add_argument(
        "--untag", action="store_true", help="also remove the builds' Koji tags that the target accepts"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without changing anything")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    import time

    from fedpkg_container.commands.registry.prune import garbage_collection
    from fedpkg_container.commands.registry.results import send_after, show, show_delivery, status, summary
    from fedpkg_container.commands.terminal import print_json, print_lines
    from fedpkg_container.registry.messages.outbox import Outbox
    from fedpkg_container.registry.promotion.result import report
    from fedpkg_container.registry.promotion.unpromote import unpromote

    began = time.monotonic()
    target = site.target(arguments.to)
    outbox = Outbox.of(site, dry_run=arguments.dry_run)
    with _session(site, login=arguments.untag and not arguments.dry_run) as session:
        approving = _approving_tags(session, target, arguments.nvr, required=arguments.untag)

        def on_result(result: PromotionResult) -> None:
            _finish(result, session, approving, untags=arguments.untag)
            if not arguments.json:
                show(result)

        results = unpromote(
            site,
            target,
            arguments.nvr,
            delete=arguments.delete,
            dry_run=arguments.dry_run,
            on_result=send_after(on_result, outbox),
        )
    delivery = show_delivery(outbox)
    if arguments.json:
        seconds = time.monotonic() - began
        print_json({**report(target.name, results, dry_run=arguments.dry_run, seconds=seconds), **delivery})
    else:
        print_lines(*summary(results))
        if any(result.deleted for result in results) and not arguments.dry_run:
            print_lines(garbage_collection(target.registry))
    return status(results)


@contextlib.contextmanager
def _session(site: DistributionSite, *, login: bool) -> Iterator[HubSession]:
    """Yield a session with the hub.

    :param login: log in as the user, as configured by the Koji profile
    """
    from fedpkg_container.hub.session import ProfileAccount, anonymous_session, logged_in

    if not login:
        yield anonymous_session(site.profile)
        return
    with logged_in(site.profile, ProfileAccount()) as session:
        yield session


def _approving_tags(
    session: HubSession, target: Target, nvrs: Sequence[str], *, required: bool
) -> dict[str, list[str]] | None:
    """Return the Koji tags of builds for which the target accepts them; None if the hub cannot be reached.

    :param required: raise an error instead
    :raises LostContactError: if the hub cannot be reached, and ``required``
    """
    from fedpkg_container.errors import LostContactError
    from fedpkg_container.hub.untagging import koji_tags

    try:
        return {nvr: list(filter(target.allows, tags)) for nvr, tags in koji_tags(session, nvrs).items()}
    except LostContactError:
        if required:
            raise
        return None


def _finish(
    result: PromotionResult, session: HubSession, approving: Mapping[str, Sequence[str]] | None, *, untags: bool
) -> None:
    """Untag a withdrawn build in Koji, or note that it will be promoted again."""
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.hub.untagging import untag
    from fedpkg_container.registry.promotion.result import FAILED, PLANNED, REFUSED

    if result.state in (FAILED, REFUSED) and not result.is_partial:
        return
    tags = None if approving is None else approving.get(result.nvr, ())
    if tags is None:
        note = f"Koji cannot be reached; unless {result.nvr} is untagged, the next promote --koji-tag promotes it again"
        result.warnings = [*result.warnings, note]
    elif tags and not untags:
        note = (
            f"it is still tagged {', '.join(tags)} in Koji, so the next promote --koji-tag promotes it again; use"
            f" --untag, or: koji untag-build {tags[0]} {result.nvr}"
        )
        result.warnings = [*result.warnings, note]
    elif tags:
        try:
            if result.state != PLANNED:
                untag(session, {result.nvr: tags})
            result.untagged = tags
        except FedpkgContainerError as error:
            result.error, result.solution = error.reason, error.solution
