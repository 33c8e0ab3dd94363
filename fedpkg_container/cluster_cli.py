# SPDX-License-Identifier: GPL-2.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""The program ``fedpkg-container-cluster``: what a site installs in a cluster, and whether builds work there."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from fedpkg_container import __version__

PROGRAM = "fedpkg-container-cluster"
COMMANDS = ("manifests", "check", "prune")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Set up a cluster for container builds.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    _add_common(parser, default=None)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name in COMMANDS:
        module = importlib.import_module(f"fedpkg_container.commands.cluster.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(command)
        _add_common(command)
        command.set_defaults(run=module.run)
    return parser


def _add_common(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add options that are valid before and after the command; the suppressed default keeps a value given before."""
    parser.add_argument("--config", type=Path, metavar="FILE", default=default, help="the builder's site file")
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=default, help="log decisions, steps and retries"
    )
    parser.add_argument(
        "--debug", action="store_true", default=default, help="log requests and programs too, and show tracebacks"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a command and return the exit status."""
    import logging

    from fedpkg_container import logs
    from fedpkg_container.commands.terminal import print_error
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.signals import interruptible
    from fedpkg_container.text import os_error_text

    logs.show(verbose=arguments.verbose, debug=arguments.debug)
    logging.getLogger(__name__).info("version %s, command %s", __version__, arguments.command)
    try:
        with interruptible(exit_on_second=True):
            return int(arguments.run(arguments))
    except FedpkgContainerError as error:
        logs.log_traceback(error)
        print_error(error.reason, error.solution)
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        if arguments.debug:
            raise
        print_error(os_error_text(error))
        return 1
    except KeyboardInterrupt:
        print_error("interrupted")
        return 130


def main() -> None:
    """Run the program and exit."""
    parser = make_parser()
    if "_ARGCOMPLETE" in os.environ:
        from fedpkg_container.completion.complete import complete_with_parser

        complete_with_parser(parser)
    from fedpkg_container.stdio import run_with_safe_stdio

    sys.exit(run_with_safe_stdio(lambda: run(parser.parse_args())))


if __name__ == "__main__":
    main()
