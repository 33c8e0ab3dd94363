# SPDX-License-Identifier: GPL-2.0-or-later
"""Exit status and error messages of the client's commands, in our program and in the site's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

# A TAB imports this module: every import here delays it.
if TYPE_CHECKING:
    from collections.abc import Callable

    from fedpkg_container.client import Client
    from fedpkg_container.errors import FedpkgContainerError

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
_DEBUG_SOLUTION = "rerun with --debug (before the subcommand) for a traceback"


def exit_status(action: Callable[[], int | None], client: Callable[[], Client | None] = lambda: None) -> int:
    """Run an action and return its exit status; print the error if it fails.

    :param client: returns the client whose options apply to the error; None if its command line has not been parsed
    :raises BrokenPipeError: if the reader of the output closed it
    :raises OSError: with ``--debug``, to show the traceback
    """
    from fedpkg_container.errors import FedpkgContainerError

    try:
        return int(action() or 0)
    except FedpkgContainerError as error:
        _print_error(error, client())
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        if _is_debug(client()):
            raise
        _print_error(_os_error(error), client())
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED


def command_status(client: Client) -> int:
    """Run the client's command and return the exit status; print rpkg's errors as rpkg does.

    :raises FedpkgContainerError: an error of our own, which ``exit_status`` prints
    """
    import configparser

    import git
    from pyrpkg import errors

    from fedpkg_container.commands.terminal import print_error, print_stderr
    from fedpkg_container.errors import UsageError

    command = client.args.command
    try:
        return int(command() or 0)
    except BrokenPipeError:
        raise
    except errors.rpkgError as error:
        if client.args.debug:
            raise
        print_stderr(f"Could not execute {command.__name__}: {error}")
        return EXIT_FAILED
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        if client.args.debug:
            raise
        print_error(f"text is not valid UTF-8: {error.reason}", _DEBUG_SOLUTION)
        return EXIT_FAILED
    except configparser.Error as error:
        print_error(f"cannot read a configuration file: {error}", "fix the file named above")
        return UsageError.exit_code
    except git.GitError as error:
        if client.args.debug:
            raise
        print_error(f"{error}", _DEBUG_SOLUTION)
        return EXIT_FAILED
    finally:
        if client.logged_in:
            _refresh_values(client)


def _refresh_values(client: Client) -> None:
    """Update the completion values from the hub in the background: the command may have changed them."""
    import configparser
    from contextlib import suppress

    from pyrpkg.errors import rpkgError

    from fedpkg_container.commands.client_config import koji_profile
    from fedpkg_container.completion.refresh import refresh_if_stale
    from fedpkg_container.completion.values import Context
    from fedpkg_container.errors import FedpkgContainerError

    with suppress(FedpkgContainerError, rpkgError, OSError, configparser.Error):
        context = Context(client.name, koji_profile(client), path=client.args.path)
        refresh_if_stale(context, user=client.cmd.user, now=True)


def _is_debug(client: Client | None) -> bool:
    return client is not None and bool(client.args.debug)


def _os_error(error: OSError) -> FedpkgContainerError:
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.text import os_error_solution, os_error_text

    return FedpkgContainerError(os_error_text(error), solution=os_error_solution(error) or _DEBUG_SOLUTION)


def _print_error(error: FedpkgContainerError, client: Client | None) -> None:
    from fedpkg_container.commands import terminal
    from fedpkg_container.stdio import is_discarded

    findings = getattr(error, "findings", ())
    if client is not None and terminal.is_json(client) and not is_discarded(sys.stdout):
        terminal.print_findings_json(findings)
        terminal.print_event("error", exit_status=error.exit_code, reason=error.reason, solution=error.solution)
        return
    terminal.print_findings(findings)
    terminal.print_error(error.reason, error.solution)
