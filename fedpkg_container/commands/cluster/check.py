# SPDX-License-Identifier: GPL-2.0-or-later
"""Start a pod with the settings of a build, and report what works in it; the exit status is 1 if something fails."""

from __future__ import annotations

import argparse

from fedpkg_container.commands.cluster import read_config

HELP = "test in a pod whether builds work in the cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--arch", default="x86_64", help="Koji architecture to test (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print a JSON report")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from fedpkg_container.cluster.check import TIMEOUT, check_cluster
    from fedpkg_container.commands.terminal import print_json, print_lines, print_stderr
    from fedpkg_container.image.config import config_path
    from fedpkg_container.image.pod_inputs import pod_files, pod_site, task_token
    from fedpkg_container.registry.staging import STAGING

    config, cluster = read_config(arguments)
    site = pod_site(arguments.config or config_path(), cluster)
    token = task_token(config, cluster, f"{STAGING}/check", [], TIMEOUT)
    results = check_cluster(cluster, arguments.arch, site, pod_files(config, cluster, "", token), print_stderr)
    if arguments.json:
        print_json(results)
    else:
        print_lines(*(f"{name}: {outcome}" for name, outcome in results.items()))
    return int(any(outcome.startswith("failed") for outcome in results.values()))
