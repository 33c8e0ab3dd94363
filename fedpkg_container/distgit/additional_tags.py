# SPDX-License-Identifier: GPL-2.0-or-later
"""The file ``additional-tags``: one floating tag per line, as in OSBS.

Empty lines are ignored, and so are tags with a hyphen, which could be mistaken for VERSION-RELEASE (atomic-reactor's
rule for this file). Comments are not supported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.distgit.yaml_document import abbreviate
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import tag_problem

FILE = "additional-tags"


@dataclass(frozen=True)
class AdditionalTags:
    """Contents of the file.

    :param lines: valid tags → line number, from 1
    """

    lines: dict[str, int]
    findings: tuple[Finding, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags in the order of the file."""
        return tuple(self.lines)

    @classmethod
    def read(cls, directory: Path) -> AdditionalTags:
        """Read the file in a directory. Never raises; an unreadable file is a finding."""
        try:
            content = read_bytes(directory, FILE)
            text = decode(content, FILE) if content else ""
        except RefusedError as error:
            return cls({}, (Finding("tags-unreadable", ERROR, error.reason, error.solution, FILE),))
        return cls.from_text(text)

    @classmethod
    def from_text(cls, text: str) -> AdditionalTags:
        """Parse the content of the file."""
        lines: dict[str, int] = {}
        findings: list[Finding] = []
        for number, line in enumerate(text.split("\n"), start=1):
            tag = line.strip()
            problems = list(_problems(tag, number, lines.get(tag, 0))) if tag else []
            findings += problems
            if tag and not problems:
                lines[tag] = number
        return cls(lines, tuple(findings))


def check(directory: Path) -> list[Finding]:
    """Return all findings about the file, in line order."""
    return list(AdditionalTags.read(directory).findings)


def _problems(tag: str, number: int, first_line: int) -> Iterator[Finding]:
    if tag.startswith("#"):
        message = "additional-tags does not support comments: this line is read as a tag"
        yield Finding("tag-invalid", ERROR, message, "delete the line", FILE, number)
    elif "-" in tag:
        message = f"tag {abbreviate(tag)!r} is ignored because it contains a hyphen"
        yield Finding(
            "tag-ignored", WARNING, message, "replace the hyphen with . or _, or delete the tag", FILE, number
        )
    elif problem := tag_problem(tag):
        message = f"tag {abbreviate(tag)!r} {problem}"
        yield Finding("tag-invalid", ERROR, message, "put one valid tag on each line", FILE, number)
    elif first_line:
        message = f"duplicate tag {tag}, already on line {first_line}"
        yield Finding("tag-twice", WARNING, message, "delete one of the lines", FILE, number)
