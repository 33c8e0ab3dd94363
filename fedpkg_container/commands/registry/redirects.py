# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the configuration of a web server in front of the registry.

It redirects clients to a mirror for blobs, and proxies everything else to the
registry.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "print the configuration of a web server in front of the registry"

EPILOG = """The output has comments for the operator. It is generated from section
[redirects] of the site's configuration: fedpkg-container-registry(1),
docs/howto/redirects.md

    fedpkg-container-registry redirects --nginx >/etc/nginx/conf.d/registry.conf
    nginx -t"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = EPILOG
    parser.set_defaults(files=False)  # files of other sections may be on another machine
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--nginx", dest="kind", action="store_const", const="nginx", help="generate it for nginx")
    kind.add_argument("--httpd", dest="kind", action="store_const", const="httpd", help="generate it for Apache httpd")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Run the command and return the exit status.

    :raises ConfigurationError: if no front end is configured
    """
    from fedpkg_container.commands.terminal import print_lines
    from fedpkg_container.errors import ConfigurationError
    from fedpkg_container.registry.redirects import render

    if site.front_end is None:
        raise ConfigurationError(
            f"{site.path} does not configure a front end",
            solution="add a section [redirects]: fedpkg-container-registry(1), docs/howto/redirects.md",
        )
    print_lines(render(arguments.kind, site.front_end).rstrip("\n"))
    return 0
