# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs with subcommands have in common: options, log, errors and exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from fedpkg_container import __version__
from fedpkg_container.commands.usage_errors import refuse_wrong_arguments, report_briefly


def make_parser(
    name: str, description: str, commands: Mapping[str, str], *, config_help: str
) -> argparse.ArgumentParser:
    """Return the parser of a program.

    :param name: of the program
    :param commands: command → name of its module, which has ``HELP``, ``add_arguments`` and ``run``
    :param config_help: help text of ``--config``
    """
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    report_briefly(parser)
    _add_common(parser, config_help, default=None)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for command, module_name in commands.items():
        module = importlib.import_module(module_name)
        subparser = subparsers.add_parser(command, help=module.HELP, description=module.__doc__)
        module.add_arguments(subparser)
        _add_common(subparser, config_help)
        subparser.set_defaults(run=module.run)
        refuse_wrong_arguments(subparser, parser)
    return parser


def _add_common(parser: argparse.ArgumentParser, config_help: str, default: object = argparse.SUPPRESS) -> None:
    """Add options that are valid before and after the command; the suppressed default keeps a value given before."""
    parser.add_argument("--config", type=Path, metavar="FILE", default=default, help=config_help)
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=default, help="log decisions, steps and retries"
    )
    parser.add_argument(
        "--debug", action="store_true", default=default, help="log requests and programs too, and show tracebacks"
    )


def run_command(arguments: argparse.Namespace, command: Callable[[], int], *, if_interrupted: str = "") -> int:
    """Run a command with the log that the user requested; print an error, and return the exit status.

    :param if_interrupted: what to do after an interruption
    """
    from fedpkg_container import logs
    from fedpkg_container.commands.terminal import print_error
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.signals import interruptible
    from fedpkg_container.text import os_error_solution, os_error_text

    logs.show(verbose=arguments.verbose, debug=arguments.debug)
    try:
        with interruptible(exit_on_second=True):
            return command()
    except FedpkgContainerError as error:
        logs.log_traceback(error)
        print_error(error.reason, error.solution)
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        if arguments.debug:
            raise
        print_error(os_error_text(error), os_error_solution(error))
        return 1
    except KeyboardInterrupt:
        print_error("interrupted", if_interrupted)
        return 130


def main(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    """Complete the command line at the request of the shell, or run the program; exit with its status."""
    if "_ARGCOMPLETE" in os.environ:
        from fedpkg_container.completion.complete import complete_with_parser

        complete_with_parser(parser)
    from fedpkg_container.stdio import run_with_safe_stdio

    sys.exit(run_with_safe_stdio(lambda: run(parser.parse_args())))
