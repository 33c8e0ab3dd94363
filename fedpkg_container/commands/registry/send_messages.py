# SPDX-License-Identifier: GPL-2.0-or-later
"""Send the pending messages about promotions and their reversal.

promote and unpromote send their messages themselves. This command sends those that could not be sent, and those of
processes that were killed: run it from a timer. --discard marks them as sent instead.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "send pending messages about promotions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--discard", action="store_true", help="mark pending messages as sent, without sending them")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    from fedpkg_container.commands.terminal import print_error, print_json, print_lines
    from fedpkg_container.errors import ConfigurationError
    from fedpkg_container.registry.messages.outbox import Outbox
    from fedpkg_container.text import pluralize

    outbox = Outbox.of(site)
    if not outbox.is_used:
        raise ConfigurationError(
            f"no receiver of messages is configured in {site.path}",
            solution="set command or fedora_messaging in [messages]",
        )
    if arguments.discard:
        discarded = outbox.discard()
        if arguments.json:
            print_json({"discarded": discarded})
        else:
            print_lines(f"{pluralize(discarded, 'message')} discarded")
        return 0
    delivery = outbox.send()
    if arguments.json:
        print_json(delivery.report())
    else:
        print_lines(f"{pluralize(delivery.sent, 'message')} sent")
        if delivery.error:
            print_error(delivery.problem, delivery.solution)
    return 1 if delivery.error else 0
