# SPDX-License-Identifier: GPL-2.0-or-later
"""Substitution of variables in the words of a Dockerfile, as buildah does (imagebuilder's shell parser).

A value may be unknown here, e.g. because it is from the base image: it is then neither empty nor complete, and keeps
the names of the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fedpkg_container.distgit import dockerfile_patterns as patterns
from fedpkg_container.distgit.dockerfile_words import DockerfileSyntaxError
from fedpkg_container.model.buildah import ERROR_IF_EMPTY, PATTERNS, Feature

#: Maximum depth of ``${A:-${B:-…}}``.
MAX_DEPTH = 32
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Value:
    """A text with variables substituted.

    :param text: the text; an unknown variable is left in it as ``${NAME}``
    :param unknown: variables whose values are not known here
    :param unset: variables without a value, which were replaced with an empty text
    """

    text: str
    unknown: frozenset[str] = _NONE
    unset: frozenset[str] = _NONE

    @property
    def is_known(self) -> bool:
        """Whether the text is the value in buildah, without unknown variables."""
        return not self.unknown

    @property
    def is_complete(self) -> bool:
        """Whether all variables in it have a value."""
        return not self.unknown and not self.unset


EMPTY = Value("")
#: Characters of a word with a special meaning.
SPECIAL = frozenset("$\"'\\")
#: A function that returns the value of a variable, which may be unknown; None if it is not set.
Lookup = Callable[[str], "Value | None"]


def join(values: Iterable[Value]) -> Value:
    """Return the concatenation of values."""
    parts = list(values)
    if len(parts) == 1:
        return parts[0]
    text = "".join(part.text for part in parts)
    if all(part.is_complete for part in parts):
        return Value(text)
    unknown = frozenset().union(*(part.unknown for part in parts))
    return Value(text, unknown, frozenset().union(*(part.unset for part in parts)))


def unknown(name: str) -> Value:
    """Return the value of a variable that is not known here."""
    return Value(f"${{{name}}}", frozenset([name]))


class Expansion:
    """Substitutes variables in words, and notes the features of buildah that this needs.

    :param lookup: returns the values of variables
    :param budget: shared by all words of a file
    """

    def __init__(self, lookup: Lookup, budget: patterns.Budget | None = None) -> None:
        self.lookup = lookup
        self.budget = budget or patterns.Budget()
        self.features: set[Feature] = set()

    def expand(self, word: str) -> Value:
        """Return a word with variables substituted, and quotes and escapes removed.

        :raises DockerfileSyntaxError: if buildah refuses the word
        """
        if not SPECIAL.intersection(word):
            return Value(word)
        return _Word(self, word).read()


class _Word:
    """A word, read from left to right."""

    def __init__(self, expansion: Expansion, text: str) -> None:
        self._expansion = expansion
        self._text = text
        self._position = 0
        self._depth = 0

    def read(self) -> Value:
        return self._until("")[0]

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _next(self) -> str:
        character = self._peek()
        self._position += 1
        return character

    def _until(self, ends: str) -> tuple[Value, str]:
        """Return the value up to one of some characters, and that character; up to the end of the word for none."""
        parts: list[Value] = []
        plain: list[str] = []
        while character := self._peek():
            if character in ends:
                self._position += 1
                return _joined(parts, plain), character
            if character == "$":
                parts += [Value("".join(plain)), self._variable()]
                plain = []
            elif character == "'":
                plain.append(self._single_quoted())
            elif character == '"':
                parts += [Value("".join(plain)), self._double_quoted()]
                plain = []
            else:
                self._position += 1
                plain.append(self._next() if character == "\\" else character)
        if ends:
            raise DockerfileSyntaxError(f"has a ${{ without }}: {self._text[:80]}")
        return _joined(parts, plain), ""

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._position + 1)
        if end < 0:
            raise DockerfileSyntaxError(f"has an unbalanced quote: {self._text[:80]}")
        quoted = self._text[self._position + 1 : end]
        self._position = end + 1
        return quoted

    def _double_quoted(self) -> Value:
        parts: list[Value] = []
        plain: list[str] = []
        self._position += 1
        while (character := self._peek()) != '"':
            if not character:
                raise DockerfileSyntaxError(f"has an unbalanced quote: {self._text[:80]}")
            if character == "$":
                parts += [Value("".join(plain)), self._variable()]
                plain = []
                continue
            self._position += 1
            if character == "\\":
                if not self._peek():
                    continue
                if self._peek() in '"$\\':
                    character = self._next()
            plain.append(character)
        self._position += 1
        return _joined(parts, plain)

    def _name(self) -> str:
        """Read the name of a variable: a digit, or letters, digits and underscores."""
        start = self._position
        while (character := self._peek()) and (character.isalpha() or character.isdecimal() or character == "_"):
            self._position += 1
            if self._position == start + 1 and character.isdecimal():
                break
        return self._text[start : self._position]

    def _variable(self) -> Value:
        self._position += 1
        if self._peek() != "{":
            name = self._name()
            return self._value(name) if name else Value("$")
        self._position += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DockerfileSyntaxError(f"has variables nested more than {MAX_DEPTH} deep")
        name = self._name()
        operator = self._next()
        if operator == "}":
            result = self._value(name)
        elif operator == ":":
            result = self._conditional(name)
        elif operator and operator in "#%":
            result = self._stripped(name, operator)
        elif operator == "/":
            result = self._replaced(name)
        else:
            raise DockerfileSyntaxError(f"has an unsupported form of a variable: {self._text[:80]}")
        self._depth -= 1
        return result

    def _value(self, name: str) -> Value:
        value = self._expansion.lookup(name)
        return Value("", unset=frozenset([name])) if value is None else value

    def _conditional(self, name: str) -> Value:
        modifier = self._next()
        word, _ = self._until("}")
        if not modifier or modifier not in "+-?":
            raise DockerfileSyntaxError(f"has an unsupported modifier of a variable: {self._text[:80]}")
        if modifier == "?":
            self._expansion.features.add(ERROR_IF_EMPTY)
        value = self._expansion.lookup(name) or EMPTY
        if value.unknown:
            return Value(value.text, value.unknown | word.unknown)
        if modifier == "+":
            return word if value.text else EMPTY
        if modifier == "?" and not value.text and not word.text and word.is_known:
            raise DockerfileSyntaxError(f"requires a value for {name}: {self._text[:80]}")
        return value if value.text else word

    def _stripped(self, name: str, operator: str) -> Value:
        self._expansion.features.add(PATTERNS)
        longest = self._peek() == operator
        self._position += longest
        pattern, _ = self._until("}")
        value = self._value(name)
        if not pattern.text:
            raise DockerfileSyntaxError(f"has a variable with an empty pattern: {self._text[:80]}")
        if value.unknown or pattern.unknown:
            return _unknown_of(value, pattern)
        strip = patterns.strip_prefix if operator == "#" else patterns.strip_suffix
        return Value(strip(value.text, pattern.text, self._expansion.budget, longest=longest), unset=value.unset)

    def _replaced(self, name: str) -> Value:
        self._expansion.features.add(PATTERNS)
        at = self._peek() if self._peek() in ("/", "#", "%") else ""
        self._position += len(at)
        pattern, end = self._until("/}")
        replacement = self._until("}")[0] if end == "/" else EMPTY
        value = self._value(name)
        if not pattern.text:
            raise DockerfileSyntaxError(f"has a variable with an empty pattern: {self._text[:80]}")
        if value.unknown or pattern.unknown or replacement.unknown:
            return _unknown_of(value, pattern, replacement)
        every, place = at == "/", at.strip("/")
        budget = self._expansion.budget
        text = patterns.replace(value.text, pattern.text, replacement.text, budget, every=every, at=place)
        return Value(text, unset=value.unset)


def _joined(parts: list[Value], plain: list[str]) -> Value:
    rest = Value("".join(plain))
    return join([*(part for part in parts if part.text or not part.is_complete), rest]) if parts else rest


def _unknown_of(value: Value, *others: Value) -> Value:
    """Return an unknown value that depends on some values."""
    return Value(value.text, value.unknown.union(*(other.unknown for other in others)) or frozenset(["?"]), value.unset)
