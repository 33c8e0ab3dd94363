# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration files of a site (INI), each described by one table of its settings.

A table is a sequence of ``Key``. Values, defaults, errors and warnings follow from it, and so do the tables of the
documentation (``docs/make_settings.py``). All problems of a file are collected and reported together.
"""

from __future__ import annotations

import configparser
import ipaddress
import logging
import re
import shlex
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.text import reason_text

_log = logging.getLogger(__name__)

#: Name of a key that stands for all settings of a section, and end of a section that stands for several.
ANY, NAME = "*", " NAME"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)b?", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """A setting.

    :param section: ``target NAME`` stands for every section ``[target …]`` with a name of one word
    :param name: ``ANY`` for sections in which every name is allowed
    :param parse: returns the value for a text; raises ValueError, with what is allowed, if the text is invalid
    :param text: meaning, in Markdown
    :param default: text that is parsed if the setting is missing or empty; None if it is required
    :param default_text: default as documented, in Markdown; by default ``default``
    :param old: deprecated names, which are accepted with a warning
    """

    section: str
    name: str
    parse: Callable[[str], Any]
    text: str
    default: str | None = ""
    default_text: str = ""
    old: tuple[str, ...] = ()


def defaults(keys: Iterable[Key], section: str) -> dict[str, Any]:
    """Return the values of a section whose settings are all missing; those that are required get an empty text."""
    return {
        key.name: key.parse(key.default) if key.default is not None else "" for key in keys if key.section == section
    }


def warn_renamed(section: str, old: str, new: str) -> None:
    """Log that a file has the deprecated name of a setting."""
    _log.warning("warning: [%s] %s is deprecated; use %s instead", section, old, new)


class Settings:
    """The settings of a file; invalid ones are replaced by their defaults and recorded as problems.

    :param text: content of the file
    :param keys: its table
    :param source: name of the file, for error messages
    :param files: check that files which must exist do
    :raises configparser.Error: if it is not an INI file
    """

    def __init__(self, text: str, keys: Sequence[Key] = (), *, source: str = "<string>", files: bool = True) -> None:
        self._parser = configparser.ConfigParser(interpolation=None)
        self._parser.optionxform = str  # type: ignore[assignment, method-assign]
        self._parser.read_string(text, source)
        self._lines = _lines(text)
        self._files = files
        self._problems: list[tuple[int, str]] = []
        self._keys: dict[str, dict[str, Key]] = {}
        for key in keys:
            self._keys.setdefault(key.section, {})[key.name] = key
        self._values = {section: self._read(section) for section in self._sections()}

    @classmethod
    def read(
        cls, path: Path, keys: Sequence[Key] = (), *, documentation: str = "docs/howto/site.md", files: bool = True
    ) -> Settings:
        """Read a file.

        :param documentation: where the settings are described, for error messages
        :param files: check that files which must exist do
        :raises ConfigurationError: if the file cannot be read
        """
        try:
            return cls(path.read_text(encoding="utf-8"), keys, source=str(path), files=files)
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise ConfigurationError(
                f"cannot read {path}: {reason_text(error)}", solution=f"see {documentation}"
            ) from error

    def __getitem__(self, section: str) -> dict[str, Any]:
        """Return the values of a section of the table, or of one named section such as ``target stable``."""
        return self._values[section]

    def __contains__(self, section: str) -> bool:
        """Whether the file has a section with settings."""
        return self._parser.has_section(section) and bool(self._parser[section])

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of the sections of a kind: ``stable`` for ``[target stable]`` and kind ``target``."""
        matches = (re.fullmatch(rf"{kind} (\S+)", section) for section in self._parser.sections())
        return tuple(match[1] for match in matches if match)

    def text(self, section: str, name: str) -> str:
        """Return a setting as it is in the file; empty if it is not set."""
        return self._parser.get(section, name, fallback="").strip()

    def add_problem(self, section: str, name: str, what: str) -> None:
        """Record a problem of a setting."""
        self._problems.append((self._line(section, name), f"[{section}] {name} {what}"))

    def problems(self) -> list[str]:
        """Return all problems, including unknown sections and settings, in the order of their lines."""
        problems = [*self._problems]
        kinds = {section.removesuffix(NAME) for section in self._keys if section.endswith(NAME)}
        for section in self._parser.sections():
            keys = self._table(section)
            if not keys:
                kind = section.partition(" ")[0]
                named = f"must be [{kind}{NAME}], with a name of one word" if kind in kinds else ""
                why = named or f"known: {', '.join(self._keys)}"
                problems.append((self._line(section), f"[{section}]: unknown section ({why})"))
            elif ANY not in keys:
                why = f"known: {', '.join(sorted(keys))}"
                unknown = sorted(set(self._parser[section]) - set(keys))
                problems += [
                    (self._line(section, name), f"[{section}] {name}: unknown setting ({why})") for name in unknown
                ]
        problems.sort(key=lambda problem: problem[0])
        return [f"line {line}: {what}" if line else what for line, what in problems]

    def _sections(self) -> Iterator[str]:
        """Yield the sections of the table, each kind replaced by the sections of the file."""
        for section in self._keys:
            kind = section.removesuffix(NAME)
            yield from [section] if kind == section else (f"{kind} {name}" for name in self.names(kind))

    def _table(self, section: str) -> Mapping[str, Key]:
        """Return the settings of a section by name; empty if the section is unknown."""
        kind, _, name = section.partition(" ")
        return self._keys.get(section) or (self._keys.get(kind + NAME, {}) if re.fullmatch(r"\S+", name) else {})

    def _read(self, section: str) -> dict[str, Any]:
        table = self._table(section)
        if ANY in table:
            names = list(self._parser[section]) if self._parser.has_section(section) else []
            return {name: self._value(section, name, table[ANY]) for name in names}
        for key in table.values():
            for old in key.old:
                self._rename(section, old, key.name)
        return {name: self._value(section, name, key) for name, key in table.items()}

    def _rename(self, section: str, old: str, new: str) -> None:
        """Accept a deprecated name, with a warning; the new name takes precedence."""
        if not self._parser.has_option(section, old):
            return
        warn_renamed(section, old, new)
        value = self._parser.get(section, old)
        self._parser.remove_option(section, old)
        if not self._parser.has_option(section, new):
            self._parser.set(section, new, value)
            self._lines[section, new] = self._lines.get((section, old), 0)

    def _value(self, section: str, name: str, key: Key) -> Any:
        text = self.text(section, name)
        if not text and key.default is None:
            self.add_problem(section, name, f"is missing: {key.text.replace('`', '')}")
            return text
        parse = path if key.parse is existing_path and not self._files else key.parse
        try:
            return parse(text or key.default or "")
        except InvalidWordsError as error:
            for word, what in error.problems:
                self.add_problem(section, name, f"= {word}: {what}")
        except ValueError as error:
            self.add_problem(section, name, f"= {text}: {error}")
        return key.parse(key.default) if key.default is not None else text

    def _line(self, section: str, name: str = "") -> int:
        """Return the line of a setting, or else of its section; 0 if it has none."""
        locations = ((section, name), ("DEFAULT", name), (section, ""))
        return next((self._lines[location] for location in locations if location in self._lines), 0)


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Return section and name (empty for the section itself) → line number, of each setting of a file."""
    lines: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\[(.+)\]", line):
            section = match[1]
            lines[section, ""] = number
        elif match := re.match(r"([^\s#;][^=:]*?)\s*[=:]", line):
            lines[section, match[1]] = number
    return lines


# Types of settings: functions that return the value of a text. An empty text is the default of settings that have none.


class InvalidWordsError(ValueError):
    """Invalid words of a list.

    :param problems: each of them, and what is allowed
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{word}: {what}" for word, what in problems))
        self.problems = tuple(problems)


def parse_size(text: str) -> int | None:
    """Return a size such as ``500M`` or ``10 GB`` in bytes; None if the text is not a size."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _UNITS[match[2].lower()]) if match else None


def size(text: str) -> int:
    """Return a size in bytes."""
    value = parse_size(text)
    if value is None:
        raise ValueError("must be a size, e.g. 500M or 10G")
    return value


def number(unit: str, minimum: int = 1) -> Callable[[str], int]:
    """Return the type of an integer."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or int(text) < minimum:
            raise ValueError(f"must be a number of {unit}, at least {minimum}")
        return int(text)

    return parse


def optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return the type of a setting that may be missing: None, or the value of another type."""
    return lambda text: parse(text) if text else None


def choice(*values: str) -> Callable[[str], str]:
    """Return the type of a choice between several words."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    return parse


def flag(true: str = "yes", false: str = "no") -> Callable[[str], bool]:
    """Return the type of a choice between two words."""
    return lambda text: choice(true, false)(text) == true


def words(problem_of: Callable[[str], str] = lambda _: "", *, none: bool = False) -> Callable[[str], tuple[str, ...]]:
    """Return the type of a list of words separated by whitespace.

    :param problem_of: returns why a word is invalid; empty if it is valid
    :param none: whether the single word ``none`` is an empty list
    """

    def parse(text: str) -> tuple[str, ...]:
        values = tuple(text.split())
        if none and "none" in values:
            if len(values) > 1:
                raise InvalidWordsError([("none", "must be the only word")])
            return ()
        if problems := [(word, problem) for word in values if (problem := problem_of(word))]:
            raise InvalidWordsError(problems)
        return values

    return parse


def subset(*values: str, none: bool = False) -> Callable[[str], tuple[str, ...]]:
    """Return the type of a list whose words must be among the given ones, in the order of the file.

    :param none: whether the single word ``none`` is an empty list
    """

    def parse(text: str) -> tuple[str, ...]:
        if none and text == "none":
            return ()
        problem = f"must be one or more of {', '.join(values)}"
        return tuple(dict.fromkeys(words(lambda word: "" if word in values else problem)(text)))

    return parse


def command_line(text: str) -> tuple[str, ...]:
    """Return a program with its arguments, which are quoted as in a shell; may be empty.

    Problems do not show the text, because its arguments may contain a secret.
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidWordsError([("…", f"cannot be split into words: {error}")]) from None
    if arguments and not Path(arguments[0]).is_absolute():
        raise InvalidWordsError([("…", "the program must be an absolute path")])
    return arguments


def path(text: str) -> Path | None:
    """Return an absolute path; None for an empty text."""
    if text and not Path(text).is_absolute():
        raise ValueError("not an absolute path")
    return Path(text) if text else None


def existing_path(text: str) -> Path | None:
    """Return the absolute path of an existing file or directory; None for an empty text."""
    value = path(text)
    if value and not value.exists():
        raise ValueError("no such file or directory")
    return value


def registry(text: str) -> str:
    """Return a registry: a host, optionally with a port; may be empty."""
    try:
        is_valid = not text or ImageReference.parse(f"{text}/image").registry == text
    except UsageError:
        is_valid = False
    if not is_valid:
        raise ValueError("must be a registry host, e.g. registry.example.org or host:5000")
    return text


def url(text: str) -> str:
    """Return an http or https URL; may be empty."""
    parts = urllib.parse.urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.netloc):
        raise ValueError("must be a URL, e.g. https://host/path")
    return text


def networks(text: str) -> tuple[str, ...]:
    """Return IPv4 networks."""

    def problem_of(word: str) -> str:
        try:
            ipaddress.IPv4Network(word)
        except ValueError:
            return "must be IPv4 networks, e.g. 10.0.0.0/8"
        return ""

    return tuple(str(ipaddress.IPv4Network(word)) for word in words(problem_of)(text))
