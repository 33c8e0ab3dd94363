# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the objects that a site installs: namespace, accounts, role, network policies and quota."""

from __future__ import annotations

import argparse

from fedpkg_container.commands.cluster import read_config

HELP = "print the objects to install in the cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    platform = parser.add_mutually_exclusive_group()
    platform.add_argument(
        "--openshift", action="store_true", help="add SecurityContextConstraints and the rights for Builds"
    )
    platform.add_argument(
        "--tekton",
        action="store_true",
        help="add a Tekton Task for the pods of builds, and the rights for TaskRuns, which builders do not start"
        " (docs/internals/cluster.md)",
    )
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NETWORK",
        help="network of registry, dist-git, lookaside cache or repositories that pods may reach, e.g. 192.0.2.7/32;"
        " can be repeated",
    )
    parser.add_argument(
        "--pods", type=int, default=20, metavar="N", help="maximum number of pods at a time (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    import ipaddress

    from fedpkg_container.cluster.config_keys import OPENSHIFT_BUILD
    from fedpkg_container.cluster.site_manifests import SiteOptions, as_yaml, site_objects
    from fedpkg_container.cluster.tekton import TEKTON_NOTE, tekton_task
    from fedpkg_container.commands.terminal import print_lines
    from fedpkg_container.errors import UsageError

    config, cluster = read_config(arguments)
    for network in arguments.service:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"--service {network}: {error}", solution="write it as 192.0.2.0/24") from error
    options = SiteOptions(
        namespace=cluster.namespace,
        account=cluster.service_account,
        services=arguments.service,
        denied=config.denied_networks,
        pods=arguments.pods,
        openshift=arguments.openshift or cluster.kind == OPENSHIFT_BUILD,
        builds=cluster.kind == OPENSHIFT_BUILD,
        tekton=arguments.tekton,
        task_token=cluster.task_token,
    )
    objects = site_objects(options)
    if arguments.tekton:
        print_lines(*TEKTON_NOTE)
        objects.append(tekton_task(cluster))
    print_lines(*as_yaml(objects).splitlines())
    return 0
