"""rpkg's own client, unchanged: what rpkg's ``bin/rpkg`` does, with the configuration that ours reads."""

from __future__ import annotations

import configparser
import logging
import sys
from pathlib import Path

import pyrpkg
import pyrpkg.cli
import pyrpkg.utils

SITE = "fedpkg"


def main() -> int:
    """Run a command line; the exit status."""
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
