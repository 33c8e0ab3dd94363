# SPDX-License-Identifier: GPL-2.0-or-later
"""Wildcards of COPY and of ignore files, matched in time proportional to the lengths of pattern and text.

A packager chooses these patterns, and Python's regular expressions can take exponential time. A pattern is therefore
simulated with the set of its reachable positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Union

#: Characters that make a word of COPY a pattern.
META = "*?["
#: Maximum number of wildcards in a pattern. Each takes time for each character of a path.
MAX_WILDCARDS = 20
#: Number of elements of a short pattern.
SHORT = 16


class Wildcard(Enum):
    """A wildcard of variable meaning."""

    #: one character except ``/``
    ANY = "?"
    #: any characters except ``/``
    STAR = "*"
    #: any characters
    ALL = "**"
    #: nothing, or any characters that end with ``/``
    DIRECTORIES = "**/"


@dataclass(frozen=True)
class CharacterClass:
    """``[a-z]`` or ``[^a-z]``.

    :param ranges: first and last character of each range
    """

    negated: bool
    ranges: tuple[tuple[str, str], ...]

    def contains(self, character: str) -> bool:
        """Return whether a character matches."""
        return any(first <= character <= last for first, last in self.ranges) is not self.negated


#: An element of a parsed pattern; text is one literal character.
Token = Union[str, Wildcard, CharacterClass]


def parse_class(pattern: str, start: int) -> tuple[CharacterClass, int] | None:
    """Parse a character class by the rules of Go's ``filepath.Match``; ``!`` is an ordinary character.

    :param start: position after ``[``
    :returns: the class and the position after ``]``; None if it is malformed
    """
    position = start
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[tuple[str, str]] = []
    while not ranges or pattern[position : position + 1] != "]":
        first = _class_character(pattern, position)
        if first is None:
            return None
        position = first[1]
        last = first
        if pattern[position : position + 1] == "-":
            bound = _class_character(pattern, position + 1)
            if bound is None:
                return None
            last, position = bound, bound[1]
        if position >= len(pattern):
            return None
        ranges.append((first[0], last[0]))
    return CharacterClass(negated, tuple(ranges)), position + 1


def _class_character(pattern: str, position: int) -> tuple[str, int] | None:
    """Return a character of a class and the position after it; None if there is none."""
    character = pattern[position : position + 1]
    if character in ("", "-", "]"):
        return None
    if character != "\\":
        return character, position + 1
    escaped = pattern[position + 1 : position + 2]
    return (escaped, position + 2) if escaped else None


def parse_glob(pattern: str) -> list[Token] | None:
    """Parse a pattern by the rules of Go's ``filepath.Match``; None if it is malformed.

    :param pattern: one component of a path, or a pattern of ``path.Match``, whose rules are the same
    """
    tokens: list[Token] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "[":
            parsed = parse_class(pattern, position)
            if parsed is None:
                return None
            tokens.append(parsed[0])
            position = parsed[1]
        elif character == "\\":
            if position == len(pattern):
                return None
            tokens.append(pattern[position])
            position += 1
        else:
            tokens.append({"*": Wildcard.STAR, "?": Wildcard.ANY}.get(character, character))
    return tokens


def is_bounded(tokens: Sequence[Token]) -> bool:
    """Return whether a pattern has no more than ``MAX_WILDCARDS`` wildcards of variable length."""
    return sum(token in (Wildcard.STAR, Wildcard.ALL, Wildcard.DIRECTORIES) for token in tokens) <= MAX_WILDCARDS


def weight(tokens: Sequence[Token]) -> int:
    """Return how many times longer than a short pattern one takes for each character, at most.

    Elements after a wildcard of variable length may all be reached at once, and a class is compared range by range.
    """
    variable = (Wildcard.STAR, Wildcard.ALL, Wildcard.DIRECTORIES)
    first = next((position for position, token in enumerate(tokens) if token in variable), len(tokens))
    ranges = sum(len(token.ranges) for token in tokens if isinstance(token, CharacterClass))
    return 1 + (len(tokens) - first + ranges) // SHORT


def matches(tokens: Sequence[Token], path: str, *, or_above: bool = False) -> bool:
    """Return whether a path matches a parsed pattern.

    :param or_above: also if one of the directories above it matches
    """
    if tokens and isinstance(tokens[0], str) and not path.startswith(tokens[0]):
        return False
    if tokens and isinstance(tokens[-1], str) and not or_above and not path.endswith(tokens[-1]):
        return False
    reached = _closure(tokens, {0})
    # Positions within ``**/`` whose characters so far do not end with a slash.
    pending: set[int] = set()
    for character in path:
        if or_above and character == "/" and len(tokens) in reached:
            return True
        following: set[int] = set()
        started = {position for position in reached if _token(tokens, position) is Wildcard.DIRECTORIES} | pending
        pending = started if character != "\n" else set()
        if character == "/":
            following |= {position + 1 for position in pending}
        for position in reached:
            token = _token(tokens, position)
            if token in (Wildcard.STAR, Wildcard.ALL):
                if character != ("/" if token is Wildcard.STAR else "\n"):
                    following.add(position)
            elif token is Wildcard.ANY:
                if character != "/":
                    following.add(position + 1)
            elif token == character or (isinstance(token, CharacterClass) and token.contains(character)):
                following.add(position + 1)
        reached = _closure(tokens, following)
        if not reached and not pending:
            return False
    return len(tokens) in reached


def _token(tokens: Sequence[Token], position: int) -> Token | None:
    return tokens[position] if position < len(tokens) else None


def _closure(tokens: Sequence[Token], positions: set[int]) -> set[int]:
    """Return the positions, and those after wildcards that match nothing."""
    closure = set(positions)
    for position in sorted(positions):
        while _token(tokens, position) in (Wildcard.STAR, Wildcard.ALL, Wildcard.DIRECTORIES):
            position += 1
            if position in closure:
                break
            closure.add(position)
    return closure
