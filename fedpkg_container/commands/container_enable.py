# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-enable``: run the client under the site's own name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedpkg_container.activation import FUNCTIONS

if TYPE_CHECKING:
    import argparse

    from fedpkg_container.client import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--all-users", action="store_true", help="Use /usr/local/bin instead of ~/.local/bin")
    parser.add_argument("--undo", action="store_true", help="Remove the link")
    parser.add_argument(
        "--print-function",
        choices=tuple(FUNCTIONS),
        help="Print a shell function for the shell's startup file instead of creating a link",
    )


def run(client: Client) -> int:
    """Create or remove the link, or print the function."""
    import os

    from fedpkg_container import activation
    from fedpkg_container.commands.terminal import is_quiet, print_lines
    from fedpkg_container.errors import UsageError

    site, args = client.name, client.args
    if args.print_function:
        if args.undo or args.all_users:
            raise UsageError("argument --print-function: not allowed with --undo and --all-users")
        print_lines(activation.FUNCTIONS[args.print_function].format(site=site))
        return 0
    directory = activation.FOR_ALL if args.all_users else activation.FOR_USER.expanduser()
    if args.undo:
        path = directory / site
        message = f"removed {path}" if activation.remove_link(directory, site) else f"{path} does not exist"
    else:
        program = activation.client_program(site)
        activation.check_link(directory, site, os.environ.get("PATH", ""))
        message = f"{activation.create_link(directory, site, program)} runs {program}"
    if not is_quiet(client):
        print_lines(message)
    return 0
