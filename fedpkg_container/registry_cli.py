# SPDX-License-Identifier: GPL-2.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""The program ``fedpkg-container-registry``: distribution of images from the candidate registry."""

from __future__ import annotations

import argparse

from fedpkg_container import __version__
from fedpkg_container.commands import program
from fedpkg_container.commands.registry import COMMANDS

PROGRAM = "fedpkg-container-registry"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = program.make_parser(
        PROGRAM,
        "Distribute container images from Koji's candidate registry.",
        {name: f"fedpkg_container.commands.registry.{module}" for name, module in COMMANDS.items()},
        config_help="configuration of the site",
    )
    parser.set_defaults(files=True)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Run a command and return the exit status."""
    return program.run_command(
        arguments, lambda: _run(arguments), if_interrupted="rerun the command; completed steps are skipped"
    )


def _run(arguments: argparse.Namespace) -> int:
    import logging

    from fedpkg_container.registry.config import read_site
    from fedpkg_container.registry.config_path import configuration_path

    path = configuration_path(arguments.config)
    _log = logging.getLogger(__name__)
    _log.info("version %s, command %s, configuration %s", __version__, arguments.command, path)
    return int(arguments.run(arguments, read_site(path, files=arguments.files)))


def main() -> None:
    """Run the program and exit."""
    program.main(make_parser(), run)


if __name__ == "__main__":
    main()
