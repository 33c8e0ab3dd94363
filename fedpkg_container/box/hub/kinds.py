# SPDX-License-Identifier: GPL-2.0-or-later
"""Kinds of parameters: each checks a value of a request and converts it, as Koji's ``convert_value`` does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Protocol

import koji
import koji.util

#: Maximum nesting depth of lists and dictionaries.
MAX_DEPTH = 32


#: Maximum length of lists of typed elements: SQLite allows 32766 variables per statement.
MAX_LENGTH = 20_000


#: Maximum length of a text parameter not declared as ``Content``, in characters.
MAX_TEXT = 8192


#: Maximum length of names of tags, users, packages, ..., in characters (Koji's MaxNameLengthInternal).
MAX_NAME = 256


#: Maximum absolute value of a priority.
MAX_PRIORITY = 1_000_000


#: Maximum length of a ``Content`` parameter, in characters; requests have their own limit.
MAX_CONTENT = 64 * 1024 * 1024


_MAX_INTEGER = 2**63 - 1


#: The end of the year 9999.
_LAST_SECOND = 253402300799


_SHOWN = 200


#: Characters not allowed in XML 1.0: no client can parse a response with them.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,19}\s*")


def shown(value: object) -> str:
    """A value of a request, shortened for error messages."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except RecursionError:
        text = "..."
    return xml_text(text[:_SHOWN])


def xml_text(text: str) -> str:
    """Text with characters that XML does not allow replaced."""
    return _NOT_XML.sub("\ufffd", text)


def _refused(value: object, expected: str) -> koji.ParameterError:
    """The error of Koji's ``convert_value``."""
    if value is None:
        return koji.ParameterError(f"Invalid type, expected type {expected}")
    return koji.ParameterError(f"Invalid type for value '{shown(value)}': {type(value)}, expected type {expected}")


class Kind(Protocol):
    """A parameter's type."""

    def convert(self, value: object) -> Any:
        """Return the checked value; raise ParameterError if its type is not valid."""
        ...


@dataclass(frozen=True)
class Integer:
    """An integer of at most 64 bits, also as text.

    :param limit: maximum absolute value
    """

    limit: int = _MAX_INTEGER

    def convert(self, value: object) -> int:
        """Return the number."""
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or abs(value) > self.limit:
            raise _refused(value, f"{int}")
        return int(value)


@dataclass(frozen=True)
class Number:
    """A finite number."""

    def convert(self, value: object) -> float:
        """Return the number."""
        if not isinstance(value, (int, float)) or abs(value) > _MAX_INTEGER or not math.isfinite(value):
            raise _refused(value, f"{float}")
        return float(value)


@dataclass(frozen=True)
class Seconds:
    """Seconds since the epoch, to year 9999."""

    def convert(self, value: object) -> float:
        """Return the time in seconds."""
        seconds = Number().convert(value)
        if not 0 <= seconds <= _LAST_SECOND:
            raise koji.ParameterError(f"Invalid time: {seconds}")
        return seconds


@dataclass(frozen=True)
class Flag:
    """A boolean; 0, 1 and None are accepted as in Koji."""

    def convert(self, value: object) -> bool:
        """Return the boolean."""
        if value is not None and not isinstance(value, (bool, int)):
            raise _refused(value, f"{bool}")
        return bool(value)


@dataclass(frozen=True)
class Text:
    """Text valid in XML.

    :param limit: in characters
    """

    limit: int = MAX_TEXT

    def convert(self, value: object) -> str:
        """Return the text."""
        if not isinstance(value, str):
            raise _refused(value, f"{str}")
        if len(value) > self.limit:
            raise koji.ParameterError(f"Text is too long: {len(value)} characters, at most {self.limit} are accepted")
        if _NOT_XML.search(value):
            raise koji.ParameterError(f"Invalid characters in text: {value[:_SHOWN]!r}")
        return value


@dataclass(frozen=True)
class Maybe:
    """A kind, or None."""

    kind: Kind

    def convert(self, value: object) -> Any:
        """Return None or the value that the kind returns."""
        return None if value is None else self.kind.convert(value)


@dataclass(frozen=True)
class Opaque:
    """Any plain data within the limits of every request: arguments of tasks, extra of tags and builds."""

    def convert(self, value: object) -> Any:
        """Return the value."""
        return value


@dataclass(frozen=True)
class ListOf:
    """A list of one kind of element."""

    kind: Kind
    limit: int = MAX_LENGTH

    def convert(self, value: object) -> list[Any]:
        """Return the list."""
        if not isinstance(value, (list, tuple)):
            raise _refused(value, f"{list}")
        if len(value) > self.limit:
            raise koji.ParameterError(f"List is too long: {len(value)} elements, at most {self.limit} are accepted")
        return [self.kind.convert(each) for each in value]


@dataclass(frozen=True)
class Fields:
    """A dictionary.

    :param fields: kinds of known keys; other keys are not converted
    :param required: required keys
    """

    fields: Mapping[str, Kind] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def convert(self, value: object) -> dict[str, Any]:
        """Return the dictionary."""
        if not isinstance(value, dict):
            raise _refused(value, f"{dict}")
        for key in self.required:
            if key not in value:
                raise koji.ParameterError(f"Missing key: {key}")
        return {key: self._field(key, each) for key, each in value.items()}

    def _field(self, key: str, value: object) -> object:
        if key not in self.fields:
            return value
        try:
            return self.fields[key].convert(value)
        except koji.ParameterError as error:
            raise koji.ParameterError(f"{key}: {error}") from error


@dataclass(frozen=True)
class AnyOf:
    """One of several kinds: the first that accepts the value.

    :param refusal: fault for a value that matches none, if Koji has a special one
    """

    kinds: Sequence[Kind]
    refusal: Optional[Callable[[Any], koji.GenericError]] = None

    def convert(self, value: object) -> Any:
        """Return the value that the first matching kind returns."""
        refusals = []
        for kind in self.kinds:
            try:
                return kind.convert(value)
            except koji.ParameterError as error:
                refusals.append(error)
        raise self.refusal(value) if self.refusal else refusals[0]


@dataclass(frozen=True)
class Exactly:
    """A number or text that is not converted: Koji looks up a number as an id and text as a name."""

    def convert(self, value: object) -> Any:
        """Return the number or the text."""
        if isinstance(value, str):
            return Text(MAX_TEXT).convert(value)
        if not isinstance(value, int):
            raise _refused(value, f"{int} or {str}")
        return Integer().convert(value)
