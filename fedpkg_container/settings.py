"""Taking values out of an INI file, and gathering everything that is wrong with them."""

from __future__ import annotations

import configparser
import ipaddress
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.reference import ImageReference

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)b?", re.IGNORECASE)


def parse_size(text: str) -> int | None:
    """A number of bytes, as ``500M`` or ``10 GB``; None when it is none."""
    found = _SIZE.fullmatch(text)
    return int(float(found[1]) * _UNITS[found[2].lower()]) if found else None


class Settings:
    """The settings of a file; wrong ones get their default and are remembered.

    :param parser: what was read
    :param files: whether files that must exist are looked for
    """

    def __init__(self, parser: configparser.ConfigParser, *, files: bool = True) -> None:
        self._parser = parser
        self._files = files
        self._problems: list[str] = []

    @classmethod
    def read(cls, path: Path, *, documentation: str = "docs/site.md", files: bool = True) -> Settings:
        """The settings in a file.

        :param documentation: where they are described
        :param files: whether files that must exist are looked for
        :raises ConfigurationError: it cannot be read
        """
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            with path.open(encoding="utf-8") as file:
                parser.read_file(file)
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}", solution=f"see {documentation}") from error
        return cls(parser, files=files)

    def add_problem(self, section: str, option: str, what: str) -> None:
        """Remember that something is wrong."""
        self._problems.append(f"[{section}] {option} {what}")

    def problems(
        self,
        known: Mapping[str, set[str]],
        *,
        free: Sequence[str] = (),
        kinds: Mapping[str, set[str]] = MappingProxyType({}),
    ) -> list[str]:
        """Everything that is wrong, settings that nobody knows included.

        :param known: section → its settings
        :param free: sections in which every setting is known
        :param kinds: the same of sections of which there may be several: ``target`` for ``[target stable]``
        """
        sections = {**known, **{f"{kind} {name}": kinds[kind] for kind in kinds for name in self.section_names(kind)}}
        there = ", ".join([*known, *(f"{kind} NAME" for kind in kinds)])
        found = list(self._problems)
        for section in self._parser.sections():
            kind = section.partition(" ")[0]
            if section not in sections:
                why = f"the name of a {kind} is one word: [{kind} NAME]" if kind in kinds else f"there are {there}"
                found.append(f"[{section}]: no such section ({why})")
            elif section not in free:
                options = ", ".join(sorted(sections[section]))
                unknown = sorted(set(self._parser[section]) - sections[section])
                found += [f"[{section}] {option}: no such setting (there are {options})" for option in unknown]
        return found

    def section_names(self, kind: str) -> tuple[str, ...]:
        """The names of the sections of a kind: ``stable`` for ``[target stable]``, where the kind is ``target``."""
        found = (re.fullmatch(rf"{kind} (\S+)", section) for section in self._parser.sections())
        return tuple(each[1] for each in found if each)

    def text(self, section: str, option: str) -> str:
        """A text; empty when it is not given."""
        return self._parser.get(section, option, fallback="").strip()

    def section(self, name: str) -> dict[str, str]:
        """All of a section."""
        return dict(self._parser[name]) if self._parser.has_section(name) else {}

    def words(self, section: str, option: str) -> tuple[str, ...]:
        """A list of words."""
        return tuple(self.text(section, option).split())

    def subset(self, section: str, option: str, choices: Sequence[str], *, default: Sequence[str]) -> tuple[str, ...]:
        """Some of a few words, in the order given; ``none`` for none of them, where the default is all."""
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
        """One of a few words; the first when it is not given."""
        value = self.text(section, option) or choices[0]
        if value not in choices:
            self.add_problem(section, option, f"= {value}: must be one of {', '.join(choices)}")
            return choices[0]
        return value

    def path(self, section: str, option: str, *, exists: bool = True) -> Path | None:
        """An absolute path; None when it is not given."""
        value = self.text(section, option)
        if not value:
            return None
        path = Path(value)
        if not path.is_absolute():
            self.add_problem(section, option, f"= {value}: not an absolute path")
        elif exists and self._files and not path.exists():
            self.add_problem(section, option, f"= {value}: no such file or folder")
        return path

    def number(self, section: str, option: str, default: int, *, unit: str, least: int = 1) -> int:
        """A whole number."""
        value = self.text(section, option) or str(default)
        if not re.fullmatch("[0-9]{1,12}", value) or int(value) < least:
            self.add_problem(section, option, f"= {value}: must be a number of {unit}, {least} or more")
            return default
        return int(value)

    def size(self, section: str, option: str, default: int) -> int:
        """A number of bytes: ``500M``, ``10 GB``."""
        value = self.text(section, option)
        if not value:
            return default
        size = parse_size(value)
        if size is None:
            self.add_problem(section, option, f"= {value}: must be a size, such as 500M or 10G")
            return default
        return size

    def registry(self, section: str, option: str) -> str:
        """A registry, host and port; it must be given."""
        value = self.text(section, option)
        if not value:
            self.add_problem(section, option, "is missing")
            return value
        try:
            ok = ImageReference.parse(f"{value}/image").registry == value
        except UsageError:
            ok = False
        if not ok:
            self.add_problem(section, option, f"= {value}: must be a registry, as registry.example.org or host:5000")
        return value

    def url(self, section: str, option: str) -> str:
        """An address of http or https; empty when it is not given."""
        value = self.text(section, option)
        parts = urllib.parse.urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc):
            self.add_problem(section, option, f"= {value}: must be an address, as https://host/path")
        return value

    def networks(self, section: str, option: str) -> tuple[str, ...]:
        """IPv4 networks: ``10.0.0.0/8 192.0.2.7``."""
        found = []
        for word in self.words(section, option):
            try:
                found.append(str(ipaddress.IPv4Network(word)))
            except ValueError:
                self.add_problem(section, option, f"= {word}: must be networks, as 10.0.0.0/8")
        return tuple(found)
