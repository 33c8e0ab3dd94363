"""Validated reading of INI files: all problems are collected and reported together."""

from __future__ import annotations

import configparser
import ipaddress
import logging
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.reference import ImageReference

_log = logging.getLogger(__name__)

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)b?", re.IGNORECASE)


def parse_size(text: str) -> int | None:
    """Return a size such as ``500M`` or ``10 GB`` in bytes; None if the text is not a size."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _UNITS[match[2].lower()]) if match else None


class Settings:
    """Settings of a file; invalid ones are replaced by their defaults and recorded as problems.

    :param parser: parsed content of the file
    :param files: check that files which must exist do
    """

    def __init__(self, parser: configparser.ConfigParser, *, files: bool = True) -> None:
        self._parser = parser
        self._files = files
        self._problems: list[str] = []

    @classmethod
    def read(cls, path: Path, *, documentation: str = "docs/howto/site.md", files: bool = True) -> Settings:
        """Read the settings of a file.

        :param documentation: where the settings are described, for error messages
        :param files: check that files which must exist do
        :raises ConfigurationError: if the file cannot be read
        """
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            with path.open(encoding="utf-8") as file:
                parser.read_file(file)
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise ConfigurationError(f"cannot read {path}: {error}", solution=f"see {documentation}") from error
        return cls(parser, files=files)

    def add_problem(self, section: str, option: str, what: str) -> None:
        """Record a problem of a setting."""
        self._problems.append(f"[{section}] {option} {what}")

    def renamed(self, section: str, old: str, new: str) -> None:
        """Accept the old name of a setting, with a warning; the new name takes precedence."""
        if not self._parser.has_option(section, old):
            return
        _log.warning("warning: [%s] %s is deprecated; use %s instead", section, old, new)
        value = self._parser.get(section, old)
        self._parser.remove_option(section, old)
        if not self._parser.has_option(section, new):
            self._parser.set(section, new, value)

    def problems(
        self,
        known: Mapping[str, set[str]],
        *,
        free: Sequence[str] = (),
        kinds: Mapping[str, set[str]] = MappingProxyType({}),
    ) -> list[str]:
        """Return all problems, including unknown sections and settings.

        :param known: section → its settings
        :param free: sections in which any setting is allowed
        :param kinds: section type → its settings, for sections with a name: ``target`` for ``[target stable]``
        """
        sections = {**known, **{f"{kind} {name}": kinds[kind] for kind in kinds for name in self.section_names(kind)}}
        section_list = ", ".join([*known, *(f"{kind} NAME" for kind in kinds)])
        problems = list(self._problems)
        for section in self._parser.sections():
            kind = section.partition(" ")[0]
            if section not in sections:
                why = f"must be [{kind} NAME], with a name of one word" if kind in kinds else f"known: {section_list}"
                problems.append(f"[{section}]: unknown section ({why})")
            elif section not in free:
                options = ", ".join(sorted(sections[section]))
                unknown = sorted(set(self._parser[section]) - sections[section])
                problems += [f"[{section}] {option}: unknown setting (known: {options})" for option in unknown]
        return problems

    def section_names(self, kind: str) -> tuple[str, ...]:
        """Return the names of the sections of a type: ``stable`` for ``[target stable]`` and type ``target``."""
        matches = (re.fullmatch(rf"{kind} (\S+)", section) for section in self._parser.sections())
        return tuple(match[1] for match in matches if match)

    def text(self, section: str, option: str) -> str:
        """Return a setting as text; empty if it is not set."""
        return self._parser.get(section, option, fallback="").strip()

    def section(self, name: str) -> dict[str, str]:
        """Return all settings of a section; empty if there is no such section."""
        return dict(self._parser[name]) if self._parser.has_section(name) else {}

    def words(self, section: str, option: str) -> tuple[str, ...]:
        """Return a list of words separated by whitespace."""
        return tuple(self.text(section, option).split())

    def subset(self, section: str, option: str, choices: Sequence[str], *, default: Sequence[str]) -> tuple[str, ...]:
        """Return a subset of ``choices`` in the given order; ``none`` means the empty subset if the default is all."""
        words = tuple(dict.fromkeys(self.words(section, option)))
        if not words:
            return tuple(default)
        if words == ("none",) and tuple(default) == tuple(choices):
            return ()
        for word in words:
            if word not in choices:
                self.add_problem(section, option, f"= {word}: must be some of {', '.join(choices)}")
        return words

    def choice(self, section: str, option: str, choices: Sequence[str]) -> str:
        """Return one of ``choices``; the first if it is not set."""
        value = self.text(section, option) or choices[0]
        if value not in choices:
            self.add_problem(section, option, f"= {value}: must be one of {', '.join(choices)}")
            return choices[0]
        return value

    def path(self, section: str, option: str, *, exists: bool = True) -> Path | None:
        """Return an absolute path; None if it is not set."""
        value = self.text(section, option)
        if not value:
            return None
        path = Path(value)
        if not path.is_absolute():
            self.add_problem(section, option, f"= {value}: not an absolute path")
        elif exists and self._files and not path.exists():
            self.add_problem(section, option, f"= {value}: no such file or directory")
        return path

    def number(self, section: str, option: str, default: int, *, unit: str, minimum: int = 1) -> int:
        """Return an integer."""
        value = self.text(section, option) or str(default)
        if not re.fullmatch("[0-9]{1,12}", value) or int(value) < minimum:
            self.add_problem(section, option, f"= {value}: must be a number of {unit}, at least {minimum}")
            return default
        return int(value)

    def size(self, section: str, option: str, default: int) -> int:
        """Return a size in bytes; the file has e.g. ``500M`` or ``10 GB``."""
        value = self.text(section, option)
        if not value:
            return default
        size = parse_size(value)
        if size is None:
            self.add_problem(section, option, f"= {value}: must be a size, e.g. 500M or 10G")
            return default
        return size

    def registry(self, section: str, option: str) -> str:
        """Return a registry (host, optionally with port); the setting is mandatory."""
        value = self.text(section, option)
        if not value:
            self.add_problem(section, option, "is missing")
            return value
        try:
            is_valid = ImageReference.parse(f"{value}/image").registry == value
        except UsageError:
            is_valid = False
        if not is_valid:
            self.add_problem(
                section, option, f"= {value}: must be a registry host, e.g. registry.example.org or host:5000"
            )
        return value

    def url(self, section: str, option: str) -> str:
        """Return an http or https URL; empty if it is not set."""
        value = self.text(section, option)
        parts = urllib.parse.urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc):
            self.add_problem(section, option, f"= {value}: must be a URL, e.g. https://host/path")
        return value

    def networks(self, section: str, option: str) -> tuple[str, ...]:
        """Return IPv4 networks; the file has e.g. ``10.0.0.0/8 192.0.2.7``."""
        networks = []
        for word in self.words(section, option):
            try:
                networks.append(str(ipaddress.IPv4Network(word)))
            except ValueError:
                self.add_problem(section, option, f"= {word}: must be IPv4 networks, e.g. 10.0.0.0/8")
        return tuple(networks)
