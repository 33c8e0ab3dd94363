# SPDX-License-Identifier: GPL-2.0-or-later
"""Splitting a Dockerfile into instructions, as buildah does (imagebuilder's parser, BuildKit's for here-documents).

buildah is not given the packager's file: each instruction is passed to it on one line, without comments, so that what
is checked is what is built. A here-document is refused if versions of buildah disagree on whether it is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fedpkg_container.distgit.dockerfile_words import (
    DockerfileSyntaxError,
    json_array,
    split_name,
    split_options,
    trim_left,
)
from fedpkg_container.errors import RefusedError

#: The default escape character, and the one that the escape directive may select instead.
ESCAPE, BACKTICK = "\\", "`"
#: Instructions that may have here-documents; those deferred by ONBUILD may not.
_HERE_DOCUMENT_INSTRUCTIONS = ("RUN", "COPY", "ADD")
#: Control characters, which Dockerfiles do not need and parsers interpret differently.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")
#: The directive that sets the escape character. It only counts at the start of the file, before any other comment.
_DIRECTIVE = re.compile(r"#[ \t]*escape[ \t]*=[ \t]*(.).*", re.IGNORECASE)
#: What some builders may parse as a here-document: at the start of a word, or after a variable that may be empty.
_AMBIGUOUS = re.compile(r"(?:^|(?<=\s))[0-9]*<<(?![<\s]|$)")
_AMBIGUOUS_ANYWHERE = re.compile(r"(?<!<)<<(?![<\s]|$)")
#: What all builders parse as a here-document.
_HERE_DOCUMENT = re.compile(r"[0-9]*<<(-?)([\"']?)([A-Za-z0-9_.][A-Za-z0-9_.-]*)\2")
#: Words of a command line, including their quotes.
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
#: Variables with modifiers: ``${x:?}`` is an error, after which some builders do not look for here-documents.
_CONDITION = re.compile(r"\$\{(?![A-Za-z0-9_]+\})")
#: What decides whether a ``<`` is in a default value: braces, and characters that may hide a brace from a builder.
_NESTING = re.compile(r"(\$\{)\w*(:?[-+?])?|[}<\"'\\]")


@dataclass(frozen=True)
class Step:
    """An instruction with its here-documents.

    :param line: number of its first line, from 1
    :param name: name in upper case
    :param value: the rest, joined into one line without a trailing escape character
    :param documents: lines of its here-documents, including the delimiters
    """

    line: int
    name: str
    value: str
    documents: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The instruction without its here-documents."""
        return f"{self.name} {self.value}"


@dataclass(frozen=True)
class Source:
    """A Dockerfile as a list of instructions.

    :param escape: its escape character
    """

    steps: tuple[Step, ...]
    escape: str = ESCAPE

    @property
    def head(self) -> list[str]:
        """The lines to write before the instructions."""
        return [] if self.escape == ESCAPE else [f"# escape={self.escape}"]


def read_source(text: str) -> Source:
    """Split a Dockerfile into steps.

    :raises RefusedError: if it contains a control character or an invalid directive, or a here-document is unclear
    """
    _reject_control(text)
    lines = text.replace("\r\n", "\n").split("\n")
    escape = _escape(lines)
    return Source(tuple(_read(lines, escape)), escape)


def _reject_control(text: str) -> None:
    plain = text.replace("\r\n", "\n")
    control = _CONTROL.search(plain)
    if control:
        line = plain.count("\n", 0, control.start()) + 1
        raise RefusedError(f"line {line} of the Dockerfile contains a control character", solution="remove it")


def _escape(lines: list[str]) -> str:
    """Return the escape character of a file.

    :raises RefusedError: if a directive sets another than a backslash or a backtick, or there are two
    """
    match = _DIRECTIVE.fullmatch(trim_left(lines[0]))
    if not match:
        return ESCAPE
    if match[1] not in (ESCAPE, BACKTICK):
        raise RefusedError(
            f"line 1 of the Dockerfile: {match[1]} cannot be the escape character (# escape=)",
            solution="remove the directive, and use backslashes",
        )
    if len(lines) > 1 and _DIRECTIVE.fullmatch(trim_left(lines[1])):
        raise RefusedError("line 2 of the Dockerfile: second escape directive", solution="remove one of them")
    return match[1]


def _is_skipped(line: str) -> bool:
    """Whether a line is empty or a comment."""
    start = trim_left(line)
    return not start or start.startswith("#")


def _continued(line: str, escape: str) -> tuple[str, bool]:
    """Return a line without the escape character at its end, and whether there was one."""
    stripped = line.rstrip(" \t")
    return (stripped[:-1], True) if stripped.endswith(escape) else (line, False)


def _read(lines: list[str], escape: str) -> Iterator[Step]:
    number = 0
    while number < len(lines):
        if _is_skipped(lines[number]):
            number += 1
            continue
        first = number
        part, more = _continued(trim_left(lines[number]), escape)
        parts = [part]
        number += 1
        while more and number < len(lines):
            if not _is_skipped(lines[number]):
                part, more = _continued(lines[number], escape)
                parts.append(part)
            number += 1
        name, value = split_name("".join(parts))
        if (value or name).endswith(escape):  # in what buildah gets, it would join the next line
            raise RefusedError(
                f"line {number} of the Dockerfile: the instruction ends with {escape}",
                solution="remove it, or unusual whitespace after it",
            )
        if not name:  # only escape characters, up to the end of the file
            continue
        start = number
        for tabs, word in _documents(name, value, first + 1):
            number = _end(lines, number, word, tabs=bool(tabs), beginning=first + 1)
        yield Step(first + 1, name, value, tuple(lines[start:number]))


def _documents(name: str, value: str, line: int) -> list[tuple[str, str]]:
    """Return the here-documents of an instruction: whether leading tabs are stripped, and the delimiter.

    :raises RefusedError: if builders may disagree on whether something is a here-document
    """
    deferred = name == "ONBUILD"
    inner, rest = split_name(value) if deferred else (name, value)
    if inner not in _HERE_DOCUMENT_INSTRUCTIONS or "<" not in rest or _is_json(rest):
        return []
    condition = _CONDITION.search(value)
    doubtful = (_AMBIGUOUS_ANYWHERE if condition else _AMBIGUOUS).findall(value)
    if not doubtful and not _has_hidden(value):
        return []
    words = [_HERE_DOCUMENT.fullmatch(word) for word in _WORD.findall(value)]
    documents = [(word[1], word[3]) for word in words if word]
    unclear = _WORD.sub("", value).strip() or condition or deferred
    if unclear or len(documents) != len(doubtful):
        raise RefusedError(
            f"line {line}: ambiguous <<, which may or may not start a here-document",
            solution="put a space after <<, or move the command into a file",
        )
    return documents


def _has_hidden(value: str) -> bool:
    """Whether a default value may hide half of the ``<<`` operator: ``${x:-<}<EOF``. Patterns (``${x%<*}``) cannot."""
    braces: list[bool] = []
    is_certain = True
    position = 0
    while match := _NESTING.search(value, position):
        position = match.end()
        if match[1]:
            braces.append(bool(match[2]) or (bool(braces) and braces[-1]))
        elif not braces:
            continue
        elif match[0] == "<":
            if braces[-1]:
                return True
        elif match[0] == "}":
            if is_certain:
                braces.pop()
        elif match[0] == "\\":  # an escaped or quoted brace closes nothing in some builders
            is_certain = is_certain and not value.startswith("}", position)
        else:
            quoted = value[position:].partition(match[0])[0]
            is_certain = is_certain and not set("}<$") & set(quoted) and position + len(quoted) < len(value)
            position += len(quoted) + 1 if is_certain else 0
    return False


def _is_json(value: str) -> bool:
    try:
        return json_array(split_options(value)[1]) is not None
    except DockerfileSyntaxError:
        return True


def _end(lines: list[str], number: int, word: str, *, tabs: bool, beginning: int) -> int:
    """Return the index of the line after a here-document.

    :param tabs: whether tabs before the delimiter are ignored
    :raises RefusedError: if the delimiter is missing
    """
    for end in range(number, len(lines)):
        if (lines[end].lstrip("\t") if tabs else lines[end]) == word:
            return end + 1
    raise RefusedError(
        f"here-document {word} in line {beginning} is not terminated", solution=f"add a line that only contains {word}"
    )
