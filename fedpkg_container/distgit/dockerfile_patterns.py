# SPDX-License-Identifier: GPL-2.0-or-later
"""Patterns in variables (``${NAME#pattern}``) with the semantics of Go's ``path.Match``, in bounded time.

buildah tries every prefix, suffix or part of a value, and never the whole of it as a prefix or suffix. Here, all
lengths are tried in one pass over the value, so that the time does not grow with the cube of its length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fedpkg_container.distgit.dockerfile_words import DockerfileSyntaxError
from fedpkg_container.distgit.wildcards import CharacterClass, Token, Wildcard, parse_glob

#: Maximum characters of a value that a pattern is applied to, and of the pattern.
MAX_LENGTH = 4096
#: Maximum steps of all patterns of a Dockerfile: about a second.
MAX_STEPS = 2_000_000

_Test = Callable[[str], bool]
_ASCII = tuple(map(chr, range(128)))


class Budget:
    """The steps left for the patterns of a Dockerfile."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._steps = steps

    def spend(self, steps: int) -> None:
        """Subtract steps.

        :raises DockerfileSyntaxError: if none are left
        """
        self._steps -= steps
        if self._steps < 0:
            raise DockerfileSyntaxError("has patterns that take too long to match")


@dataclass(frozen=True)
class _Item:
    """A part of a pattern: matches one character, or any number of them.

    :param test: whether it matches a character
    """

    test: _Test
    repeated: bool = False


def _is_not_slash(character: str) -> bool:
    return character != "/"


class Pattern:
    """A parsed pattern.

    :param text: the pattern; one with a syntax error matches nothing
    :raises DockerfileSyntaxError: if it is too long, or not ASCII
    """

    def __init__(self, text: str, budget: Budget) -> None:
        _check(text)
        self._budget = budget
        self._items = _parse(text)

    def lengths(self, value: str) -> list[int]:
        """Return the lengths of the prefixes of a value that match, in ascending order."""
        if self._items is None:
            return []
        items, end = self._items, len(self._items)
        states = self._closed({0})
        lengths = [0] if end in states else []
        for position, character in enumerate(value, 1):
            self._budget.spend(len(states))
            following = set()
            for state in states:
                if state < end and items[state].test(character):
                    following.add(state if items[state].repeated else state + 1)
            states = self._closed(following)
            if not states:
                break
            if end in states:
                lengths.append(position)
        return lengths

    def reversed(self) -> Pattern:
        """Return the pattern that matches reversed values."""
        pattern = Pattern("", self._budget)
        pattern._items = None if self._items is None else self._items[::-1]
        return pattern

    def _closed(self, states: set[int]) -> set[int]:
        """Return states with those after repeated items, which may match nothing."""
        items = self._items or []
        closed = set()
        for state in states:
            closed.add(state)
            while state < len(items) and items[state].repeated:
                state += 1
                closed.add(state)
        return closed


def _check(text: str) -> None:
    if not text.isascii():
        raise DockerfileSyntaxError("applies a pattern to characters that are not ASCII")
    if len(text) > MAX_LENGTH:
        raise DockerfileSyntaxError(f"applies a pattern to more than {MAX_LENGTH} characters")


def _parse(text: str) -> list[_Item] | None:
    """Return the items of a pattern; None if it has a syntax error."""
    tokens = parse_glob(text)
    if tokens is None:
        return None
    items: list[_Item] = []
    for token in tokens:
        if token is not Wildcard.STAR:
            items.append(_Item(_test_of(token)))
        elif not (items and items[-1].repeated):  # several match the same as one
            items.append(_Item(_is_not_slash, repeated=True))
    return items


def _test_of(token: Token) -> _Test:
    """Return the test of a character for a part of a pattern that matches one."""
    if isinstance(token, CharacterClass):
        # Values are ASCII: a set is as fast for a class of thousands of characters as for one.
        ranges = CharacterClass(token.negated, tuple(set(token.ranges)))
        return {character for character in _ASCII if ranges.contains(character)}.__contains__
    return _is_not_slash if token is Wildcard.ANY else token.__eq__


def strip_prefix(value: str, pattern: str, budget: Budget, *, longest: bool) -> str:
    """Return a value without a matching prefix, as buildah has it: the last character always stays.

    :raises DockerfileSyntaxError: if value or pattern is too long, or not ASCII, or the budget is spent
    """
    _check(value)
    lengths = Pattern(pattern, budget).lengths(value)
    if longest:
        lengths = [length for length in lengths if length <= len(value) - 1]
        return value[lengths[-1] :] if lengths else value
    lengths = [length for length in lengths if length < len(value) - 1]
    return value[lengths[0] :] if lengths else value


def strip_suffix(value: str, pattern: str, budget: Budget, *, longest: bool) -> str:
    """Return a value without a matching suffix, as buildah has it: at least one character of it is matched.

    :raises DockerfileSyntaxError: if value or pattern is too long, or not ASCII, or the budget is spent
    """
    _check(value)
    starts = [len(value) - length for length in Pattern(pattern, budget).reversed().lengths(value[::-1]) if length]
    if longest:
        starts = [start for start in starts if start < len(value) - 1]
        return value[: starts[-1]] if starts else value
    return value[: starts[0]] if starts else value


def replace(value: str, pattern: str, replacement: str, budget: Budget, *, every: bool, at: str) -> str:
    """Return a value with the longest match of a pattern replaced, as buildah has it.

    :param every: whether to replace all matches
    :param at: ``#`` or ``%`` to only replace at the start or the end; empty for anywhere
    :raises DockerfileSyntaxError: if value, pattern or the result is too long, or not ASCII, or the budget is spent
    """
    _check(value)
    compiled = Pattern(pattern, budget)
    position = 0
    while position < len(value):
        lengths = [length for length in compiled.lengths(value[position:]) if length]
        if at == "%":
            lengths = [length for length in lengths if position + length == len(value)]
        if lengths and not (at == "#" and position):
            value = value[:position] + replacement + value[position + lengths[-1] :]
            if not every:
                return value
            _check(value)
            position += len(replacement) - 1
        position += 1
    return value
