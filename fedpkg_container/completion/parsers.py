"""argparse parsers as plain data, and back as far as completion needs them.

Kept are names, numbers of values, choices, help, groups that exclude each other, and what completes each value. Left
out is what only running needs: conversions, defaults, checks; a parser that is rebuilt refuses less than the real one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NoReturn

from argcomplete import completers

from fedpkg_container.completion.values import Completer, Context, Known

Data = dict[str, Any]
#: Gives the completers that could not be kept, in the order in which they were described.
Live = Callable[[], list[Any]]

#: What argparse does with an option, and how it is called here; all others only take their values.
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
    """Takes its values and does nothing."""

    def __call__(self, *_: object) -> None:
        """Nothing: what it would do is not for a TAB."""


class _Parser(argparse.ArgumentParser):
    """A parser that is only asked what could come next."""

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 (argparse's name)
        """End parsing, without the usage that nobody would see."""
        raise SystemExit(2)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction):
            super()._check_value(action, value)


class _Formatter(argparse.HelpFormatter):
    """A formatter that loads the colors of Python 3.14 (and dataclasses and inspect with them) only when it needs them.

    argcomplete makes one to expand the help of each command, in which nothing is colored.
    """

    def _set_color(self, color: bool) -> None:
        """Leave the theme to the first access."""

    def __getattr__(self, name: str) -> Any:
        if name not in ("_theme", "_decolor"):
            raise AttributeError(name)
        super()._set_color(False)  # type: ignore[misc]
        return self.__dict__[name]


class _FromClient:
    """Completes with what the real client has, and loads it for that."""

    def __init__(self, number: int, live: Live) -> None:
        self._number = number
        self._live = live

    def __call__(self, **arguments: Any) -> Any:
        return self._live()[self._number](**arguments)


def describe(parser: argparse.ArgumentParser, live: list[Any]) -> Data:
    """A parser and its commands as data that JSON keeps.

    :param live: completers that cannot be kept are appended here
    """
    places = {id(action): index for index, action in enumerate(parser._actions)}
    return {
        "prog": parser.prog,
        "prefix_chars": parser.prefix_chars,
        "allow_abbrev": parser.allow_abbrev,
        "actions": [_describe_action(parser, action, live) for action in parser._actions],
        "exclusive": [
            [places[id(action)] for action in group._group_actions if id(action) in places]
            for group in parser._mutually_exclusive_groups
        ],
    }


def _describe_action(parser: argparse.ArgumentParser, action: argparse.Action, live: list[Any]) -> Data:
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
    """The help of an argument with its default and such put in."""
    if action.help is None or "%" not in action.help:
        return action.help
    try:
        return parser._get_formatter()._expand_help(action)
    except (KeyError, TypeError, ValueError):  # argparse itself would fail on this text
        return action.help


def _describe_commands(action: argparse._SubParsersAction[Any], live: list[Any]) -> list[Data]:
    helps = {each.dest: each.help for each in action._get_subactions()}
    names: dict[int, list[str]] = {}
    for name, parser in action.choices.items():
        names.setdefault(id(parser), []).append(name)
    return [
        {"names": each, "help": helps.get(each[0]), "parser": describe(action.choices[each[0]], live)}
        for each in names.values()
    ]


def _describe_completer(completer: Any, live: list[Any]) -> Data:
    if isinstance(completer, Completer):
        return {"kind": completer.kind, "known": _kept(completer.known())}
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


def _kept(known: Known) -> Any:
    if not isinstance(known, Mapping):
        return list(known)
    return {key: value if isinstance(value, str) else list(value) for key, value in known.items()}


def rebuild(data: Data, words: Container[str], place: Context, live: Live) -> argparse.ArgumentParser:
    """The parser that was described; of its commands only those that are among the words.

    :raises KeyError: the data is not what :func:`describe` returns (TypeError, ValueError, AttributeError likewise)
    """
    parser = _Parser(
        prog=data["prog"],
        prefix_chars=data["prefix_chars"],
        add_help=False,
        allow_abbrev=data["allow_abbrev"],
        formatter_class=_Formatter,
    )
    for each in data["actions"]:
        if each["does"] == "commands":
            parser._add_action(_commands(parser, each, words, place, live))
        else:
            parser._add_action(_action(each, place, live))
    for group in data["exclusive"]:
        exclusive = parser.add_mutually_exclusive_group()
        exclusive._group_actions.extend(parser._actions[index] for index in group)
    return parser


def _action(data: Data, place: Context, live: Live) -> argparse.Action:
    kind, nargs = ACTIONS.get(data["does"], _Inert), data["nargs"]
    arguments: Data = {"option_strings": data["flags"], "dest": data["dest"]}
    if data["does"] in ("const", "append-const"):
        arguments["const"] = True
    elif data["does"] not in ("true", "false", "count"):
        arguments["nargs"] = nargs
    action = kind(**arguments)
    action.help = argparse.SUPPRESS if data["hidden"] else data["help"] and data["help"].replace("%", "%%")
    action.choices = data.get("choices")
    # argparse takes an argument with these numbers of values for one that may be left out.
    action.required = not data["flags"] and nargs not in ("?", "*", argparse.REMAINDER)
    if "completer" in data:
        action.completer = _completer(data["completer"], place, live)  # type: ignore[attr-defined]
    return action


def _commands(
    parser: argparse.ArgumentParser, data: Data, words: Container[str], place: Context, live: Live
) -> argparse._SubParsersAction[Any]:
    action = argparse._SubParsersAction([], prog=parser.prog, parser_class=_Parser, dest=data["dest"])
    for command in data["commands"]:
        names: Iterable[str] = command["names"]
        # A command that is not typed is never asked for its arguments: its name is enough.
        typed = any(name in words for name in names)
        made: Any = rebuild(command["parser"], words, place, live) if typed else object()
        for name in names:
            action._name_parser_map[name] = made
        if command["help"] is not None:
            shown = action._ChoicesPseudoAction(command["names"][0], [], command["help"].replace("%", "%%"))
            action._choices_actions.append(shown)
    return action


def _completer(data: Data, place: Context, live: Live) -> Any:
    if "kind" in data:
        return Completer(data["kind"], lambda: data["known"], place)
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
