# SPDX-License-Identifier: GPL-2.0-or-later
"""Check what the registry of a target can do, and print what to set.

Pushes, reads, mounts, tags, lists and deletes a small test image in the repository check-target below the target's
prefix. The results are not stored.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.registry.arguments import complete_targets

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "check what the registry of a target can do"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    complete_targets(parser.add_argument("target", metavar="NAME", help="target section"))
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status."""
    from fedpkg_container.commands.terminal import print_json, print_lines, print_stderr
    from fedpkg_container.registry.skopeo import Registry
    from fedpkg_container.registry.target_check import Capability, TargetCheck, report
    from fedpkg_container.text import printable_line

    target = site.target(arguments.target)
    capabilities: list[Capability] = []
    with Registry(target.access).http(target.registry) as http:
        check = TargetCheck(http, target.prefix)
        for capability in check.run():
            capabilities.append(capability)
            if not arguments.json:
                why = f": {printable_line(capability.why)}" if capability.why else ""
                advice = [f"    {printable_line(capability.advice)}"] if capability.advice else []
                print_lines(f"{capability.name}: {capability.result}{why}", *advice)
    if arguments.json:
        print_json(report(target.name, capabilities, check.left))
    elif check.left:
        print_stderr("test artifacts that were not deleted:", *(f"    {reference}" for reference in check.left))
    return 1 if any(capability.is_missing for capability in capabilities) else 0
