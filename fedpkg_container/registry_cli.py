# SPDX-License-Identifier: GPL-2.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""The program ``fedpkg-container-registry``: distribution of images from the candidate registry."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from fedpkg_container import __version__
from fedpkg_container.commands.registry import COMMANDS

PROGRAM = "fedpkg-container-registry"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Distribute container images from Koji's candidate registry."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    _add_common(parser, default=None)
    parser.set_defaults(files=True)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(f"fedpkg_container.commands.registry.{module_name}")
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(command)
        _add_common(command)
        command.set_defaults(run=module.run)
    return parser


def _add_common(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add options that are valid before and after the command; the suppressed default keeps a value given before."""
    parser.add_argument("--config", type=Path, metavar="FILE", default=default, help="configuration of the site")
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=default, help="log decisions, steps and retries"
    )
    parser.add_argument(
        "--debug", action="store_true", default=default, help="log requests and programs too, and show tracebacks"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a command and return the exit status."""
    from fedpkg_container import logs
    from fedpkg_container.commands.terminal import print_error
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.registry.config import read_site
    from fedpkg_container.registry.config_path import configuration_path
    from fedpkg_container.signals import interruptible
    from fedpkg_container.text import os_error_text

    logs.show(verbose=arguments.verbose, debug=arguments.debug)
    try:
        with interruptible(exit_on_second=True):
            path = configuration_path(arguments.config)
            _log_command(arguments.command, path)
            site = read_site(path, files=arguments.files)
            return int(arguments.run(arguments, site))
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
        print_error("interrupted", "rerun the command; completed steps are skipped")
        return 130


def _log_command(command: str, path: Path) -> None:
    import logging

    from fedpkg_container import __version__

    logging.getLogger(__name__).info("version %s, command %s, configuration %s", __version__, command, path)


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
