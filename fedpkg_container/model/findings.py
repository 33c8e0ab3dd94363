# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of checks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from fedpkg_container.text import printable_line

ERROR = "error"
WARNING = "warning"
NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """A problem found by a check.

    :param code: stable name of the check, e.g. ``label-missing``
    :param severity: ``error`` (prevents the build), ``warning``, or ``note`` (not a problem)
    :param message: what is wrong, in one sentence
    :param solution: how to fix it
    :param file: file with the problem, relative to the checkout; empty if the problem is not in a file
    :param line: line number, from 1; 0 for the whole file
    """

    code: str
    severity: str
    message: str
    solution: str
    file: str = ""
    line: int = 0

    @property
    def _location(self) -> str:
        return f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""

    @property
    def located_message(self) -> str:
        """The message after its file and line."""
        return f"{self._location}{self.message}"

    def __str__(self) -> str:
        """Return one line, and an indented one with the solution."""
        text = printable_line(f"{self._location}{self.severity}: {self.message} [{self.code}]")
        return f"{as_relative(text)}\n    {printable_line(self.solution)}" if self.solution else as_relative(text)


def as_relative(text: str) -> str:
    """Return text that starts with a file name so that GitHub Actions reads no command (``::name::``) in it."""
    return f"./{text}" if text.lstrip().startswith("::") else text


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by file and line; those without a file come first, and the checks keep their order."""
    return sorted(findings, key=lambda finding: (finding.file, finding.line))


def closest_match(word: str, known: Iterable[str]) -> str:
    """Return the known word closest to this one; empty if none is similar."""
    matches = difflib.get_close_matches(word, list(known), n=1)
    return matches[0] if matches else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with the closest known word; empty if none is similar."""
    match = closest_match(word, known)
    return f"; did you mean {match}?" if match else ""
