"""Print the configuration of a web server before the registry.

It sends clients to a mirror for blobs, and to the registry for the rest.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.registry.config import DistributionSite

HELP = "print the configuration of a web server before the registry"

EPILOG = """The configuration has comments for its operator. Its settings are those of
section [redirects] of the site's file: fedpkg-container-registry(1),
docs/redirects.md

    fedpkg-container-registry redirects --nginx >/etc/nginx/conf.d/registry.conf
    nginx -t"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``redirects``."""
    parser.epilog = EPILOG
    parser.set_defaults(files=False)  # nothing is reached: those of other sections may be on another machine
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--nginx", dest="kind", action="store_const", const="nginx", help="for nginx")
    kind.add_argument("--httpd", dest="kind", action="store_const", const="httpd", help="for Apache httpd")


def run(arguments: argparse.Namespace, site: DistributionSite) -> int:
    """Print it; the exit status.

    :raises ConfigurationError: the site's file says nothing of a front end
    """
    from fedpkg_container.commands.terminal import print_lines
    from fedpkg_container.errors import ConfigurationError
    from fedpkg_container.registry.redirects import render

    if site.front_end is None:
        raise ConfigurationError(
            f"{site.path} says nothing of a front end",
            solution="add a section [redirects]: fedpkg-container-registry(1), docs/redirects.md",
        )
    print_lines(render(arguments.kind, site.front_end).rstrip("\n"))
    return 0
