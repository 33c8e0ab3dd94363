# SPDX-License-Identifier: GPL-2.0-or-later
"""Serialization of argparse parsers for completion.

Names, numbers of values, choices, help texts, mutually exclusive groups and completers are stored; conversions,
defaults and checks are not, so a rebuilt parser accepts more than the original.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NoReturn

from argcomplete import completers

from fedpkg_container.completion.values import Completer, Context, ExtraValues

Data = dict[str, Any]
#: Returns the completers that cannot be stored, in the order in which they were described.
Live = Callable[[], list[Any]]

#: Names of argparse's actions; any other action consumes its values without effect.
ACTIONS: dict[str, type[argparse.Action]] = {
    "store": argparse._StoreAction,
    "const": argparse._StoreConstAction,
    "true": argparse._StoreTrueAction,
    "false": argparse._StoreFalseAction,
    "append": argparse._AppendAction,
    "append-const": argparse._AppendConstAction,
    "count": argparse._CountAction,
}
_NAMES = {kind: name for name, kind in ACTIONS.items()}


class _Inert(argparse.Action):
    """Consumes its values without effect."""

    def __call__(self, *_: object) -> None:
        """Do nothing, since effects such as output would disturb the completion."""


class _Parser(argparse.ArgumentParser):
    """A parser for completion only."""

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 (argparse's name)
        """Exit without printing the usage, which would be invisible."""
        raise SystemExit(2)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if isinstance(action, argparse._SubParsersAction):
            super()._check_value(action, value)


class _Formatter(argparse.HelpFormatter):
    """A formatter that imports the colors of Python 3.14 (and with them dataclasses and inspect) only when needed.

    argcomplete creates one to expand the help of each command, which has no colors.
    """

    def _set_color(self, color: bool) -> None:
        """Defer loading of the theme to its first use."""

    def __getattr__(self, name: str) -> object:
        if name not in ("_theme", "_decolor"):
            raise AttributeError(name)
        super()._set_color(False)  # type: ignore[misc]
        return self.__dict__[name]


class _FromClient:
    """Loads the real client and completes with its completer."""

    def __init__(self, number: int, live: Live) -> None:
        self._number = number
        self._live = live

    def __call__(self, **arguments: Any) -> object:
        return self._live()[self._number](**arguments)


def describe(parser: argparse.ArgumentParser, live: list[Any]) -> Data:
    """Convert a parser and its subcommands to data that can be stored as JSON.

    :param live: list to which completers that cannot be stored are appended
    """
    indexes = {id(action): index for index, action in enumerate(parser._actions)}
    return {
        "prog": parser.prog,
        "prefix_chars": parser.prefix_chars,
        "allow_abbrev": parser.allow_abbrev,
        "actions": [_describe_action(parser, action, live) for action in parser._actions],
        "exclusive": [
            [indexes[id(action)] for action in group._group_actions if id(action) in indexes]
            for group in parser._mutually_exclusive_groups
        ],
    }


def _describe_action(parser: argparse.ArgumentParser, action: argparse.Action, live: list[object]) -> Data:
    data: Data = {
        "flags": list(action.option_strings),
        "dest": action.dest,
        "nargs": action.nargs,
        "does": _NAMES.get(type(action), ""),
        "help": _expanded(parser, action),
        "hidden": action.help == argparse.SUPPRESS,
    }
    if isinstance(action, argparse._SubParsersAction):
        return {**data, "does": "commands", "commands": _describe_commands(action, live)}
    if isinstance(action.choices, Iterable):
        data["choices"] = [str(choice) for choice in action.choices]
    if (completer := getattr(action, "completer", None)) is not None:
        data["completer"] = _describe_completer(completer, live)
    return data


def _expanded(parser: argparse.ArgumentParser, action: argparse.Action) -> str | None:
    """Return the help of an argument with placeholders such as ``%(default)s`` expanded."""
    if action.help is None or "%" not in action.help:
        return action.help
    try:
        return parser._get_formatter()._expand_help(action)
    except (KeyError, TypeError, ValueError):  # argparse itself would fail on this text
        return action.help


def _describe_commands(action: argparse._SubParsersAction[Any], live: list[Any]) -> list[Data]:
    helps = {command.dest: command.help for command in action._get_subactions()}
    names_by_parser: dict[int, list[str]] = {}
    for name, parser in action.choices.items():
        names_by_parser.setdefault(id(parser), []).append(name)
    return [
        {"names": names, "help": helps.get(names[0]), "parser": describe(action.choices[names[0]], live)}
        for names in names_by_parser.values()
    ]


def _describe_completer(completer: Any, live: list[Any]) -> Data:
    if isinstance(completer, Completer):
        return {"kind": completer.kind, "known": _to_json(completer.extra_values())}
    kind = type(completer)
    if completer is completers.EnvironCompleter:
        return {"environment": True}
    if kind is completers.ChoicesCompleter:
        return {"choices": [str(choice) for choice in completer.choices]}
    if kind is completers.FilesCompleter:
        return {"files": list(completer.allowednames), "directories": bool(completer.directories)}
    if kind is completers.DirectoriesCompleter:
        return {"only_directories": True}
    if kind is completers.SuppressCompleter:
        return {"suppress": True}
    live.append(completer)
    return {"live": len(live) - 1}


def _to_json(extra_values: ExtraValues) -> object:
    if not isinstance(extra_values, Mapping):
        return list(extra_values)
    return {key: value if isinstance(value, str) else list(value) for key, value in extra_values.items()}


def rebuild(data: Data, words: Container[str], context: Context, live: Live) -> argparse.ArgumentParser:
    """Rebuild a parser from the result of :func:`describe`, with only the subcommands that the words contain.

    :raises KeyError: if the data is invalid; also TypeError, ValueError and AttributeError
    """
    parser = _Parser(
        prog=data["prog"],
        prefix_chars=data["prefix_chars"],
        add_help=False,
        allow_abbrev=data["allow_abbrev"],
        formatter_class=_Formatter,
    )
    for action in data["actions"]:
        if action["does"] == "commands":
            parser._add_action(_commands(parser, action, words, context, live))
        else:
            parser._add_action(_action(action, context, live))
    for group in data["exclusive"]:
        exclusive = parser.add_mutually_exclusive_group()
        exclusive._group_actions.extend(parser._actions[index] for index in group)
    return parser


def _action(data: Data, context: Context, live: Live) -> argparse.Action:
    kind, nargs = ACTIONS.get(data["does"], _Inert), data["nargs"]
    arguments: Data = {"option_strings": data["flags"], "dest": data["dest"]}
    if data["does"] in ("const", "append-const"):
        arguments["const"] = True
    elif data["does"] not in ("true", "false", "count"):
        arguments["nargs"] = nargs
    action = kind(**arguments)
    action.help = argparse.SUPPRESS if data["hidden"] else data["help"] and data["help"].replace("%", "%%")
    action.choices = data.get("choices")
    # argparse treats arguments with these numbers of values as optional.
    action.required = not data["flags"] and nargs not in ("?", "*", argparse.REMAINDER)
    if "completer" in data:
        action.completer = _completer(data["completer"], context, live)  # type: ignore[attr-defined]
    return action


def _commands(
    parser: argparse.ArgumentParser, data: Data, words: Container[str], context: Context, live: Live
) -> argparse._SubParsersAction[Any]:
    action = argparse._SubParsersAction([], prog=parser.prog, parser_class=_Parser, dest=data["dest"])
    for command in data["commands"]:
        names: Iterable[str] = command["names"]
        # Only the command on the command line needs its arguments; the names of the others suffice.
        is_typed = any(name in words for name in names)
        subparser: Any = rebuild(command["parser"], words, context, live) if is_typed else object()
        for name in names:
            action._name_parser_map[name] = subparser
        if command["help"] is not None:
            choice = action._ChoicesPseudoAction(command["names"][0], [], command["help"].replace("%", "%%"))
            action._choices_actions.append(choice)
    return action


def _completer(data: Data, context: Context, live: Live) -> Any:
    if "kind" in data:
        return Completer(data["kind"], lambda: data["known"], context)
    if "choices" in data:
        return completers.ChoicesCompleter(data["choices"])
    if "files" in data:
        return completers.FilesCompleter(data["files"], data["directories"])
    if "only_directories" in data:
        return completers.DirectoriesCompleter()
    if "environment" in data:
        return completers.EnvironCompleter
    if "suppress" in data:
        return completers.SuppressCompleter()
    return _FromClient(int(data["live"]), live)
