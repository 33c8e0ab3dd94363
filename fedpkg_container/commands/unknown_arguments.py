# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors about unknown arguments of a command, with the usage of the command.

argparse reports them with the usage of the whole program, which lists other options.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def refuse_unknown(command: argparse.ArgumentParser, program: argparse.ArgumentParser) -> None:
    """Let the parser of a command report arguments that it does not know.

    :param command: parser of the command
    :param program: parser of the program, with the global options
    """
    parse = command.parse_known_args

    def parse_all(
        args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        parsed, unknown = parse(args, namespace)
        if unknown:
            command.error(f"unrecognized arguments: {' '.join(unknown)}{_hint(unknown, command, program)}")
        return parsed, unknown

    command.parse_known_args = parse_all  # type: ignore[method-assign,assignment]


def _hint(unknown: Sequence[str], command: argparse.ArgumentParser, program: argparse.ArgumentParser) -> str:
    """Return what to write instead of the first unknown option; empty if that is not known."""
    from fedpkg_container.model.findings import did_you_mean

    option = next((argument.partition("=")[0] for argument in unknown if argument.startswith("-")), "")
    if option in program._option_string_actions:
        return f"; {option} is a global option: write it before the command"
    return did_you_mean(option, [name for name in command._option_string_actions if name.startswith("--")])
