# SPDX-License-Identifier: GPL-2.0-or-later
"""rpkg's own client: what rpkg's ``bin/rpkg`` does, with the configuration that ours reads and fedpkg's URLs."""

from __future__ import annotations

import configparser
import logging
import sys
from pathlib import Path

import pyrpkg
import pyrpkg.cli
import pyrpkg.utils

SITE = "fedpkg"
_ANONYMOUS = pyrpkg.Commands.construct_build_url


def _build_url(commands: pyrpkg.Commands, *arguments: str, **options: str) -> str:
    """A source as fedpkg names it: Koji knows http:// by this name alone."""
    return f"git+{_ANONYMOUS(commands, *arguments, **options)}"


def main() -> int:
    """Run a command line; the exit status."""
    pyrpkg.Commands.construct_build_url = _build_url
    config = configparser.ConfigParser()
    config.read(Path.home() / ".config" / "rpkg" / f"{SITE}.conf")
    client = pyrpkg.cli.cliClient(config, name=SITE)
    client.do_imports()
    client.parse_cmdline()
    if not client.args.path:
        client.args.path = pyrpkg.utils.getcwd()
    client.setupLogging(pyrpkg.log)
    pyrpkg.log.setLevel(logging.DEBUG if client.args.v else logging.WARNING if client.args.q else logging.INFO)
    return int(client.args.command() or 0)


if __name__ == "__main__":
    sys.exit(main())
