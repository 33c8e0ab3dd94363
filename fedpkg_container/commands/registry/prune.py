"""Delete what nobody needs from the candidate registry: staging of builds that have ended, and old candidates.

Without --delete it only says what would go.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.quantities import whole_days

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "delete staging and old candidates that nobody needs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--delete", action="store_true", help="delete; otherwise it is only said what would go")
    parser.add_argument(
        "--older-than",
        type=whole_days,
        metavar="DAYS",
        help="delete candidates that are older; default: the site's keep",
    )
    parser.add_argument("--staging", action="store_true", help="only staging, unless --candidates is given too")
    parser.add_argument("--candidates", action="store_true", help="only candidates, unless --staging is given too")
    parser.add_argument("--json", action="store_true", help="print a report for programs")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command; its exit status."""
    from fedpkg_container.commands.registry.prune_view import garbage_collection, lines
    from fedpkg_container.commands.terminal import complain, say, say_json
    from fedpkg_container.hub.image_records import KojiRecords
    from fedpkg_container.hub.session import anonymous
    from fedpkg_container.registry.pruning.pruner import Pruner, Wanted

    both = arguments.staging == arguments.candidates
    wanted = Wanted(
        keep=arguments.older_than or site.candidates.keep,
        deletes=arguments.delete,
        staging=both or arguments.staging,
        candidates=both or arguments.candidates,
    )
    report = Pruner(site, KojiRecords(anonymous(site.profile)), wanted, notice=complain).run()
    if arguments.json:
        say_json({**report.packed(), "garbage_collection": garbage_collection(report.registry)})
    else:
        say(*lines(report))
    return 1 if report.failed else 0
