# SPDX-License-Identifier: GPL-2.0-or-later
"""Splitting instructions of a Dockerfile into options and words, as buildah does (imagebuilder's parser).

Options are split off regardless of the instruction, so every instruction may have them. ENV, LABEL and ARG are
split at spaces outside of quotes, all other instructions at every space.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

#: Characters that separate the name from the value, and the words of most instructions.
SPACE = re.compile(r"[\t\v\f\r ]+")
#: What Go's ``unicode.IsSpace`` accepts; control characters other than tab and newline never get here.
_GO_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)
_TRIMMED = "".join(sorted(_GO_SPACE))
_ASCII_SPACE = " \t\n\v\f\r"
_SURROGATE = re.compile("[\ud800-\udfff]")


class DockerfileSyntaxError(Exception):
    """An instruction that buildah refuses to read.

    :param reason: why, to be used after the name of the instruction
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DockerfileParseError(DockerfileSyntaxError):
    """An instruction that buildah refuses before it executes any, even in a stage that is not built."""


def trim(text: str) -> str:
    """Return a text without white space around it."""
    return text.strip(_TRIMMED)


def trim_left(text: str) -> str:
    """Return a text without leading white space."""
    return text.lstrip(_TRIMMED)


def split_name(text: str) -> tuple[str, str]:
    """Split an instruction into its name, in upper case, and its value."""
    name, value = [*SPACE.split(trim(text), maxsplit=1), ""][:2]
    return name.upper() if name.isascii() else name, trim(value)


@dataclass(frozen=True)
class Option:
    """An option of an instruction.

    :param text: e.g. ``--from=build``, without quotes and escapes
    :param start: index of its first character in the value
    :param end: index after its last character
    """

    text: str
    start: int
    end: int


def split_options(value: str) -> tuple[list[Option], str]:
    """Split a value into its leading options and the rest.

    :raises DockerfileSyntaxError: if an option contains characters that are not ASCII, which buildah garbles
    """
    options: list[Option] = []
    position = 0
    while True:
        while position < len(value) and value[position] in _ASCII_SPACE:
            position += 1
        if not value.startswith("--", position):
            return options, trim(value[position:])
        start = position
        option, position = _option(value, position)
        if option == "--":
            return options, trim(value[position:])
        if not option.isascii():
            raise DockerfileSyntaxError("has an option with characters that are not ASCII")
        options.append(Option(option, start, position))


def _option(text: str, position: int) -> tuple[str, int]:
    """Return the option at a position, without quotes and escapes, and the position after it."""
    option, quote = [], ""
    while position < len(text):
        character = text[position]
        if not quote and character in _ASCII_SPACE:
            break
        position += 1
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character != "\\":
            option.append(character)
        elif position < len(text):
            option.append(text[position])
            position += 1
    return "".join(option), position


def split_words(text: str) -> list[str]:
    """Split a value at every space; empty for an empty value."""
    return SPACE.split(text) if text else []


def quoted_words(text: str, escape: str = "\\") -> list[str]:
    """Split a value at spaces outside of quotes; the words keep their quotes and escapes.

    :param escape: the file's escape character
    """
    return _quoted_words(text, escape)[0]


def _quoted_words(text: str, escape: str) -> tuple[list[str], bool]:
    """Split a value at spaces outside of quotes; return the words, and whether the last quote is not closed."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if not quote and character in _GO_SPACE:
            if word:
                words.append("".join(word))
            word = []
            continue
        if character == escape and quote != "'":
            if position == len(text):
                break  # an escape character at the end is dropped
            word += [character, text[position]]
            position += 1
            continue
        if quote and character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        word.append(character)
    if word:
        words.append("".join(word))
    return words, bool(quote)


def assignments(text: str, escape: str = "\\") -> list[tuple[str, str]]:
    """Return the names and values of ENV or LABEL, not yet substituted.

    :raises DockerfileParseError: if they are neither NAME=VALUE… nor NAME VALUE
    """
    words, is_unbalanced = _quoted_words(text, escape)
    if not words:
        raise DockerfileSyntaxError("has no value")
    if "=" not in words[0]:
        parts = SPACE.split(text, maxsplit=1)
        if len(parts) < 2:
            raise DockerfileParseError(f"has no value for {parts[0][:80]}")
        return [(parts[0], parts[1])]
    for word in words:
        if "=" not in word:
            cause = "an unbalanced quote, and " if is_unbalanced else ""
            raise DockerfileParseError(f"has {cause}a word without =: {word[:80]}")
    return [word.partition("=")[::2] for word in words]


def json_array(text: str) -> list[str] | None:
    """Return the strings of a JSON array at the start of a value; None if there is none. Text after it is ignored.

    :raises DockerfileParseError: if the members of the array are not strings
    """
    if not text.startswith("["):
        return None
    try:
        array, _ = _JSON.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in array):
        raise DockerfileParseError("has a JSON array with values that are not strings")
    return [_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", item) for item in array]


def _no_constant(name: str) -> float:
    raise ValueError(name)


_JSON = json.JSONDecoder(parse_constant=_no_constant)
