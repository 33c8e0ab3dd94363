# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that exclude parts of the build context from COPY: ``.containerignore``, ``.dockerignore`` and others.

The rules are those of buildah (``ParseIgnore`` of imagebuilder and ``PatternMatcher`` of containers/storage), which
turns patterns into regular expressions without quoting all of their special characters. Such patterns are not
evaluated here, and what they match is unknown. Docker's rules differ in details, and so do the libraries for them.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fedpkg_container.distgit import wildcards
from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.distgit.wildcards import Token, Wildcard
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding

#: Suffixes of the file for one Dockerfile; buildah uses the first that exists.
SUFFIXES = (".dockerignore", ".containerignore")
#: Files for every Dockerfile; without one of the above, buildah uses the first that exists.
NAMES = (".containerignore", ".dockerignore")
#: Maximum size in bytes, number of patterns, and length of one pattern.
MAX_BYTES, MAX_PATTERNS, MAX_PATTERN_LENGTH = 64 * 1024, 1000, 1000
#: Characters that are special in regular expressions, and that buildah does not quote.
_SPECIAL = frozenset("+(){|^")
#: White space in Go.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Pattern:
    """A pattern.

    :param text: pattern without the exclamation mark
    :param line: its line number, from 1
    :param is_exception: whether it starts with an exclamation mark, and includes what earlier patterns exclude
    :param tokens: parsed pattern; None if it is a regular expression
    """

    text: str
    line: int
    is_exception: bool
    tokens: tuple[Token, ...] | None

    def matches(self, path: str) -> bool | None:
        """Return whether a path or one of the directories above it matches; None if that is unknown."""
        return None if self.tokens is None else wildcards.matches(self.tokens, path, or_above=True)


@dataclass(frozen=True)
class IgnoreFile:
    """A parsed ignore file.

    :param name: relative to the checkout; empty if there is none
    :param findings: invalid patterns (errors), and patterns with an unknown meaning (warnings)
    """

    name: str = ""
    patterns: tuple[Pattern, ...] = ()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def read(cls, directory: Path, dockerfile: str) -> IgnoreFile:
        """Read the ignore file that buildah uses. Never raises; an unreadable file is a finding.

        :param dockerfile: file name of the Dockerfile or Containerfile
        """
        name = find_ignore_file(directory, dockerfile)
        if not name:
            return cls()
        try:
            return cls.parse(decode(read_bytes(directory, name, max_bytes=MAX_BYTES) or b"", name), name)
        except RefusedError as error:
            return cls(name, (), (Finding("ignore-file", ERROR, error.reason, error.solution, name),))

    @classmethod
    def parse(cls, text: str, name: str) -> IgnoreFile:
        """Parse the content of an ignore file."""
        patterns: list[Pattern] = []
        findings: list[Finding] = []
        for number, line in enumerate(text.split("\n"), 1):
            written = "" if line.startswith("#") else _without_slash(line.strip(" ")).strip(_SPACE)
            if not written:
                continue
            if len(patterns) == MAX_PATTERNS or len(written) > MAX_PATTERN_LENGTH:
                message = f"more than {MAX_PATTERNS} patterns, or one of more than {MAX_PATTERN_LENGTH} characters"
                findings.append(Finding("ignore-file", ERROR, message, "use fewer, shorter patterns", name, number))
                break
            pattern, problem = _parse(written, number)
            if pattern is not None:
                patterns.append(pattern)
            if problem is not None:
                findings.append(Finding("ignore-file", *problem, name, number))
        return cls(name, tuple(patterns), tuple(findings))

    @cached_property
    def weight(self) -> int:
        """How many times longer than a short pattern all patterns together take for each character."""
        return sum(wildcards.weight(pattern.tokens or ()) for pattern in self.patterns)

    def excludes(self, path: str) -> bool | None:
        """Return whether a file or directory is excluded; None if that is unknown.

        :param path: relative to the checkout
        """
        excluded: bool | None = False
        for pattern in self.patterns:
            matched = pattern.matches(path)
            if matched:
                excluded = not pattern.is_exception
            elif matched is None and excluded is pattern.is_exception:
                excluded = None
        return excluded

    def includes_below(self, directory: str, *, walking: bool = False) -> bool:
        """Return whether buildah reads an excluded directory, because an exception may include parts of it.

        It compares texts: an exception with wildcards in its first directories includes nothing.

        :param walking: whether the directory is below a source of COPY, not a source itself
        """
        prefix = directory if walking else f"{directory}/"
        return any(pattern.is_exception and f"{pattern.text}/".startswith(prefix) for pattern in self.patterns)

    def line_excluding(self, path: str) -> int:
        """Return the line of the pattern that excludes a path; 0 if none does."""
        lines = [pattern.line for pattern in self.patterns if not pattern.is_exception and pattern.matches(path)]
        return lines[-1] if lines else 0


def find_ignore_file(directory: Path, dockerfile: str) -> str:
    """Return the name of the ignore file that buildah uses; empty if there is none."""
    names = (*(f"{dockerfile}{suffix}" for suffix in SUFFIXES), *NAMES)
    return next((name for name in names if os.path.lexists(directory / name)), "")


def _without_slash(line: str) -> str:
    """Remove a slash at the start of a pattern."""
    if line.startswith("!/"):
        return f"!{line[2:]}"
    return line.removeprefix("/")


def _clean(path: str) -> str:
    """Return a path in the form of Go's ``filepath.Clean``."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _parse(written: str, line: int) -> tuple[Pattern | None, tuple[str, str, str] | None]:
    """Return a pattern, or None if buildah rejects it; and the severity, message and solution of a finding, or None."""
    text = _clean(written)
    is_exception = text.startswith("!")
    if is_exception:
        if text == "!":
            return None, (ERROR, "the pattern ! is empty: buildah fails", "delete the line")
        text = _clean(text[1:])
    text = text.removeprefix("/")
    tokens: list[Token] = []
    special = ""
    for token, regular_expression in _tokens(text.removeprefix(_BYTE_ORDER_MARK)):
        if token is None:
            return None, (ERROR, f"malformed pattern {text}: buildah fails", "fix brackets and backslashes")
        special = special or regular_expression
        tokens.append(token)
    if not wildcards.is_bounded(tokens):
        warning = f"pattern {text[:80]} is not checked: it has more than {wildcards.MAX_WILDCARDS} wildcards"
        return Pattern(text, line, is_exception, None), (WARNING, warning, "use fewer wildcards")
    if special:
        warning = f"pattern {text}: buildah reads {special} as part of a regular expression"
        return Pattern(text, line, is_exception, None), (WARNING, warning, "use ? for special characters")
    return Pattern(text, line, is_exception, tuple(tokens)), None


def _tokens(text: str) -> Iterator[tuple[Token | None, str]]:
    """Yield the elements of a pattern, None for a malformed one, with the part that is a regular expression."""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "*":
            if text[position : position + 1] != "*":
                yield Wildcard.STAR, ""
                continue
            position += 1
            position += text[position : position + 1] == "/"
            yield Wildcard.ALL if position >= len(text) else Wildcard.DIRECTORIES, ""
        elif character == "?":
            yield Wildcard.ANY, ""
        elif character == "\\":
            escaped = text[position : position + 1]
            position += 1
            yield escaped or None, f"\\{escaped}" if escaped.isalnum() else ""
        elif character == "[":
            parsed = wildcards.parse_class(text, position)
            if parsed is None or not all(first <= last for first, last in parsed[0].ranges):
                yield None, ""
                return
            inside = text[position : parsed[1] - 1]
            position = parsed[1]
            yield parsed[0], f"[{inside}]" if any(special in inside for special in "*?[\\") else ""
        else:
            yield character, character if character in _SPECIAL else ""
