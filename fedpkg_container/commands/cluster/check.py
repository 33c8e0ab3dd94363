# SPDX-License-Identifier: GPL-2.0-or-later
"""Start pods with the settings of builds, and report what works in them; the exit status is 1 if something fails."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fedpkg_container.commands.cluster import read_config

if TYPE_CHECKING:
    from fedpkg_container.cluster.settings import ClusterConfig

HELP = "test in a pod whether builds work in the cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--arch",
        action="append",
        default=[],
        help="Koji architecture to test (repeatable; default: those in the site file, or else this machine's)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from fedpkg_container.cluster.check import check_cluster
    from fedpkg_container.commands.terminal import print_json, print_lines, print_stderr
    from fedpkg_container.errors import BuildFailedError
    from fedpkg_container.image.config import config_path
    from fedpkg_container.image.pod_inputs import pod_files, pod_site, task_token
    from fedpkg_container.registry.staging import STAGING

    config, cluster = read_config(arguments)
    site = pod_site(arguments.config or config_path(), cluster)
    files, token = pod_files(config, cluster, ""), task_token(config, cluster, f"{STAGING}/check")
    results: dict[str, dict[str, str]] = {}
    for arch in dict.fromkeys(arguments.arch or cluster.arches or _arches(cluster)):
        try:
            results[arch] = check_cluster(cluster, arch, site, files, token, print_stderr)
        except BuildFailedError as error:  # the pods of other architectures may work
            results[arch] = {"pod": f"failed: {error.reason}"}
    if arguments.json:
        print_json(results)
    else:
        print_lines(*(f"{arch} {name}: {text}" for arch, each in results.items() for name, text in each.items()))
    return int(any(text.startswith("failed") for each in results.values() for text in each.values()))


def _arches(cluster: ClusterConfig) -> list[str]:
    """Return this machine's architecture and those with separate settings."""
    import platform

    import koji

    return [koji.canonArch(platform.machine()), *filter(None, cluster.placements)]
