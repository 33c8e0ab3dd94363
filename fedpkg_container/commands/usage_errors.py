# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage errors of commands: two lines, like all errors, with a suggestion.

argparse prints the whole usage first, which is longer than many terminals, reports unknown arguments as errors of the
program instead of the command, and accepts empty values.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

#: Exit status of a usage error.
_STATUS = 2


def report_briefly(parser: argparse.ArgumentParser) -> None:
    """Let a parser report an error in two lines, and suggest a command for one that does not exist."""
    check = parser._check_value

    def error(message: str) -> NoReturn:
        from fedpkg_container.commands.terminal import print_error

        print_error(message, f"see {parser.prog} --help")
        parser.exit(_STATUS)

    def check_value(action: argparse.Action, value: object) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            from fedpkg_container.model.findings import did_you_mean

            parser.error(f"unknown command: {value}{did_you_mean(str(value), list(action.choices))}")
        check(action, value)

    parser.error = error  # type: ignore[method-assign]
    parser._check_value = check_value  # type: ignore[method-assign]


def refuse_wrong_arguments(command: argparse.ArgumentParser, program: argparse.ArgumentParser) -> None:
    """Let the parser of a command report arguments that it does not know, empty values, and other errors, briefly.

    :param program: parser of the program, with the global options
    """
    report_briefly(command)
    _refuse_unknown(command, program)
    refuse_empty(command)


def _refuse_unknown(command: argparse.ArgumentParser, program: argparse.ArgumentParser) -> None:
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


def refuse_empty(parser: argparse.ArgumentParser) -> None:
    """Make a parser report empty values (``--target ""``, e.g. from an unset variable) instead of using a default."""
    parse = parser.parse_known_args

    def parse_all(
        args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        words = list(sys.argv[1:] if args is None else args)
        parsed, unknown = parse(words, namespace)
        if empty := _empty_argument(words, parser, parsed):
            parser.error(f"argument {empty}: the value is empty")
        return parsed, unknown

    parser.parse_known_args = parse_all  # type: ignore[method-assign,assignment]


def _empty_argument(words: Sequence[str], parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> str:
    """Return the name of an argument with an empty value; empty if there is none.

    :param words: of the command line; an argument that the user did not write has a default, which may be empty
    """
    for action in parser._actions:
        values = getattr(parsed, action.dest, None)
        if action.nargs == 0 or not _has_empty(values):
            continue
        if not all(map(str.strip, words)) or any(f"{option}=" in words for option in action.option_strings):
            return "/".join(action.option_strings) or str(action.metavar or action.dest)
    return ""


def _has_empty(values: object) -> bool:
    """Return whether a value, or one in a list or in lists of values, is empty."""
    if isinstance(values, str):
        return not values.strip()
    return isinstance(values, (list, tuple)) and any(map(_has_empty, values))


def _hint(unknown: Sequence[str], command: argparse.ArgumentParser, program: argparse.ArgumentParser) -> str:
    """Return what to write instead of the first unknown option; empty if that is not known."""
    from fedpkg_container.model.findings import did_you_mean

    option = next((argument.partition("=")[0] for argument in unknown if argument.startswith("-")), "")
    if option in program._option_string_actions:
        return f"; {option} is a global option: write it before the command"
    return did_you_mean(option, [name for name in command._option_string_actions if name.startswith("--")])
