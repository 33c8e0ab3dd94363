# SPDX-License-Identifier: GPL-2.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""The program ``fedpkg-container-cluster``: what a site installs in a cluster, and whether builds work there."""

from __future__ import annotations

import argparse

from fedpkg_container import __version__
from fedpkg_container.commands import program

PROGRAM = "fedpkg-container-cluster"
COMMANDS = ("manifests", "check", "prune")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    return program.make_parser(
        PROGRAM,
        "Set up a cluster for container builds.",
        {name: f"fedpkg_container.commands.cluster.{name}" for name in COMMANDS},
        config_help="the builder's site file",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a command and return the exit status."""
    return program.run_command(arguments, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    import logging

    logging.getLogger(__name__).info("version %s, command %s", __version__, arguments.command)
    return int(arguments.run(arguments))


def main() -> None:
    """Run the program and exit."""
    program.main(make_parser(), run)


if __name__ == "__main__":
    main()
