# SPDX-License-Identifier: GPL-2.0-or-later
"""Delete Jobs and Builds whose task has ended; each task does the same for its hub when it starts."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from fedpkg_container.commands.cluster import read_config

HELP = "delete what builds that have ended left in the cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--hub", required=True, metavar="URL", help="the hub, exactly as in kojid.conf (server); it is not logged in to"
    )
    parser.add_argument(
        "--min-age",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="leave younger objects alone (default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    import koji
    import requests

    from fedpkg_container.cluster.client import ClusterClient
    from fedpkg_container.cluster.manifests import kind_of
    from fedpkg_container.cluster.sweeper import sweep
    from fedpkg_container.commands.terminal import print_lines, print_stderr
    from fedpkg_container.errors import LostContactError
    from fedpkg_container.hub.call_log import log_calls
    from fedpkg_container.hub.protocol import HubSession
    from fedpkg_container.hub.tasks import ended_tasks

    _, cluster = read_config(arguments)
    options = {"max_retries": 1, "retry_interval": 1, "timeout": 60}
    session: HubSession = log_calls(koji.ClientSession(arguments.hub, options))

    def ended(tasks: Iterable[int]) -> set[int]:
        try:
            return ended_tasks(session, tasks)
        except (koji.GenericError, requests.RequestException) as error:
            raise LostContactError(f"cannot look up tasks on {arguments.hub}: {error}") from error

    client = ClusterClient(cluster.kubeconfig, cluster.context)
    deleted = sweep(client, kind_of(cluster), cluster.namespace, arguments.hub, ended=ended, min_age=arguments.min_age)
    print_lines(*(f"deleted {name}" for name in deleted))
    if not deleted:
        print_stderr("nothing to delete")
    return 0
