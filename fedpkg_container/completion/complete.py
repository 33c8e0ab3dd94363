"""Answers one TAB: from the snapshot, or with the real client when there is none that can be used."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

# In argcomplete 3 these are in modules that 2 does not have; neither version says that it exports them.
from argcomplete import ExclusiveCompletionFinder, split_line  # type: ignore[attr-defined]
from argcomplete.completers import FilesCompleter, SuppressCompleter

from fedpkg_container.completion import parsers, snapshot
from fedpkg_container.completion.values import Context

#: The name that rpkg gives to arguments that it hands on, after ``--``, to the program that it runs.
HANDED_ON = "extra_args"

#: Short options are offered where there is no long one.
OPTIONS: Final = "long"

#: What a damaged snapshot can raise.
_DAMAGED = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class _Finder(ExclusiveCompletionFinder):
    """Offers no option twice, no options where a value is being given, and after ``--`` only what is handed on."""

    after_dashes = False

    def collect_completions(self, active_parsers: Any, parsed_args: Any, cword_prefix: str, *more: Any) -> Any:
        """The completions of the word under the cursor; argcomplete 2 has a parameter more than 3."""
        parser = active_parsers[-1]
        if self.after_dashes:
            handed_on = any(action.dest == HANDED_ON for action in parser._actions)
            return list(FilesCompleter()(cword_prefix)) if handed_on else []
        if not cword_prefix and any(action.option_strings for action in parser.active_actions):
            self.always_complete_options = False
            values = super().collect_completions(active_parsers, parsed_args, cword_prefix, *more)
            self.always_complete_options = OPTIONS
            if values:
                return values
        return super().collect_completions(active_parsers, parsed_args, cword_prefix, *more)


def complete(site: str, configuration: list[str], client: Callable[[], Any], leave: Callable[[int], None]) -> None:
    """Write what can stand at the cursor to where argcomplete's shell code reads it.

    :param configuration: the files that the site's configuration is read from
    :param client: makes the site's client, its arguments not parsed yet
    :param leave: called with the exit status; must not return
    """
    words = _words()
    kept = _Kept(site, configuration, client)
    try:
        parser, place = kept.parser(snapshot.load(site, configuration), words)
    except _DAMAGED:
        parser, place = kept.parser(kept.make(), words)
    _find(parser, words, place, leave)


def complete_with_parser(parser: ArgumentParser) -> None:
    """Write what can stand at the cursor of a program whose arguments are made quickly, and exit.

    Values that are paths are completed as files, others by their completers, or by nothing.
    """
    _offer_files(parser)
    _Finder.after_dashes = "--" in _words()[1:]
    _Finder()(parser, always_complete_options=OPTIONS, default_completer=SuppressCompleter())


def _words() -> list[str]:
    """The words before the one under the cursor."""
    line = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    words: list[str] = split_line(line, int(point) if point.isdigit() else len(line))[3]
    return words


def _offer_files(parser: Any) -> None:
    """Have files offered for every value of a parser, and of its commands, that is a path."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                _offer_files(command)
        elif action.type is Path:
            action.completer = FilesCompleter()


class _Kept:
    """The client's arguments, from a snapshot or from the client, which is made only once and only when needed."""

    def __init__(self, site: str, configuration: list[str], client: Callable[[], Any]) -> None:
        self._site = site
        self._configuration = configuration
        self._client = client
        self._live: list[Any] | None = None

    def make(self) -> dict[str, Any]:
        """Make the client and a snapshot of it."""
        self._live = []
        data = _describe(self._client(), self._live)
        snapshot.save(self._site, self._configuration, data)
        return data

    def live(self) -> list[Any]:
        """The completers that a snapshot cannot keep."""
        if self._live is None:
            self.make()
        return self._live or []

    def parser(self, data: dict[str, Any], words: list[str]) -> tuple[Any, Context]:
        """The parser of a snapshot."""
        place = Context(self._site, str(data["profile"]), map(str, data["namespaces"]))
        return parsers.rebuild(data["parser"], words, place, self.live), place


def _find(parser: Any, words: list[str], place: Context, leave: Callable[[int], None]) -> None:
    finder = _Finder()
    # argcomplete calls __init__ again: the attribute is one of the class.
    _Finder.after_dashes = "--" in words[1:]

    def finish(status: int) -> None:
        from fedpkg_container.completion.refresh import refresh_if_stale

        refresh_if_stale(place)
        leave(status)

    finder(parser, always_complete_options=OPTIONS, exit_method=finish)


def _describe(client: Any, live: list[Any]) -> dict[str, Any]:
    """All that completion needs of the client."""

    site = client.name
    profile = client.config.get(site, "kojiprofile", fallback="")
    return {
        "profile": client.config.get(f"{site}.container-build", "kojiprofile", fallback=profile),
        "namespaces": client.config.get(site, "distgit_namespaces", fallback="").split(),
        "parser": parsers.describe(client.parser, live),
    }
