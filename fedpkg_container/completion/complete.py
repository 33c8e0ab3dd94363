# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion of a command line from the snapshot, or with the real client if there is no valid snapshot."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

# argcomplete 3 defines these in modules that 2 does not have; neither version declares them as exported.
from argcomplete import ExclusiveCompletionFinder, split_line  # type: ignore[attr-defined]
from argcomplete.completers import FilesCompleter, SuppressCompleter

from fedpkg_container.completion import parsers, snapshot
from fedpkg_container.completion.values import Context

#: rpkg's name for the arguments after ``--``, which it passes on to the program that it runs.
PASSED_ON = "extra_args"

#: Complete long options, and short ones that have no long form.
OPTIONS: Final = "long"

#: Exceptions that a damaged snapshot can cause.
_SNAPSHOT_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class _Finder(ExclusiveCompletionFinder):
    """Completes no option twice, no options in place of a value, and after ``--`` only arguments that are passed on."""

    after_dashes = False

    def collect_completions(self, active_parsers: Any, parsed_args: Any, cword_prefix: str, *more: Any) -> Any:
        """Return the completions of the word at the cursor; argcomplete 2 passes one parameter more than 3."""
        parser = active_parsers[-1]
        if self.after_dashes:
            passed_on = any(action.dest == PASSED_ON for action in parser._actions)
            return list(FilesCompleter()(cword_prefix)) if passed_on else []
        if not cword_prefix and any(action.option_strings for action in parser.active_actions):
            self.always_complete_options = False
            values = super().collect_completions(active_parsers, parsed_args, cword_prefix, *more)
            self.always_complete_options = OPTIONS
            if values:
                return values
        return super().collect_completions(active_parsers, parsed_args, cword_prefix, *more)


def complete(site: str, configuration: list[str], client: Callable[[], object], leave: Callable[[int], None]) -> None:
    """Write the completions of the word at the cursor for argcomplete's shell code.

    :param configuration: paths of the site's configuration files
    :param client: creates the site's client, before its command line is parsed
    :param leave: called with the exit status; must not return
    """
    words = _words()
    source = _ParserSource(site, configuration, client)
    try:
        parser, context = source.parser(snapshot.load(site, configuration), words)
    except _SNAPSHOT_ERRORS:
        parser, context = source.parser(source.make_snapshot(), words)
    _find(parser, words, context, leave)


def complete_with_parser(parser: ArgumentParser) -> None:
    """Write the completions for a program whose parser is created quickly, and exit.

    Paths are completed as files, other values by their completers if they have one.
    """
    _complete_files(parser)
    _Finder.after_dashes = "--" in _words()[1:]
    _Finder()(parser, always_complete_options=OPTIONS, default_completer=SuppressCompleter())


def _words() -> list[str]:
    """Return the words before the one at the cursor."""
    line = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    words: list[str] = split_line(line, int(point) if point.isdigit() else len(line))[3]
    return words


def _complete_files(parser: Any) -> None:
    """Set the file completer of all paths among the arguments of a parser and its subcommands."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                _complete_files(command)
        elif action.type is Path:
            action.completer = FilesCompleter()


class _ParserSource:
    """Provides the client's parser from a snapshot, or from the client, which is created once and only if needed."""

    def __init__(self, site: str, configuration: list[str], client: Callable[[], Any]) -> None:
        self._site = site
        self._configuration = configuration
        self._client = client
        self._live: list[Any] | None = None

    def make_snapshot(self) -> dict[str, object]:
        """Create the client, and save and return a snapshot of it."""
        self._live = []
        data = _describe(self._client(), self._live)
        snapshot.save(self._site, self._configuration, data)
        return data

    def live(self) -> list[Any]:
        """Return the completers that a snapshot cannot store."""
        if self._live is None:
            self.make_snapshot()
        return self._live or []

    def parser(self, data: dict[str, Any], words: list[str]) -> tuple[Any, Context]:
        """Rebuild the parser of a snapshot."""
        context = Context(self._site, str(data["profile"]), map(str, data["namespaces"]))
        return parsers.rebuild(data["parser"], words, context, self.live), context


def _find(parser: Any, words: list[str], context: Context, leave: Callable[[int], None]) -> None:
    finder = _Finder()
    # argcomplete calls __init__ again, so this must be an attribute of the class.
    _Finder.after_dashes = "--" in words[1:]

    def finish(status: int) -> None:
        from fedpkg_container.completion.refresh import refresh_if_stale

        refresh_if_stale(context)
        leave(status)

    finder(parser, always_complete_options=OPTIONS, exit_method=finish)


def _describe(client: Any, live: list[Any]) -> dict[str, object]:
    """Return all data of the client that completion needs."""
    site = client.name
    profile = client.config.get(site, "kojiprofile", fallback="")
    return {
        "profile": client.config.get(f"{site}.container-build", "kojiprofile", fallback=profile),
        "namespaces": client.config.get(site, "distgit_namespaces", fallback="").split(),
        "parser": parsers.describe(client.parser, live),
    }
