"""The file ``additional-tags``: one floating tag a line, as OSBS had it.

Empty lines are passed over. So are tags with a hyphen, since those could be taken for VERSION-RELEASE (atomic-reactor's
rule for this file). There are no comments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.distgit.safe_read import decode, read_bytes
from fedpkg_container.distgit.yaml_document import shown
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import tag_problem

FILE = "additional-tags"


@dataclass(frozen=True)
class AdditionalTags:
    """What the file says.

    :param lines: the tags that a build sets, and the line of each, from 1
    """

    lines: dict[str, int]
    findings: tuple[Finding, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, in the order of the file."""
        return tuple(self.lines)

    @classmethod
    def read(cls, folder: Path) -> AdditionalTags:
        """The file in a folder. Never raises: what cannot be read is a finding."""
        try:
            content = read_bytes(folder, FILE)
            text = decode(content, FILE) if content else ""
        except RefusedError as error:
            return cls({}, (Finding("tags-unreadable", ERROR, error.reason, error.solution, FILE),))
        return cls.from_text(text)

    @classmethod
    def from_text(cls, text: str) -> AdditionalTags:
        """The content of a file."""
        lines: dict[str, int] = {}
        findings: list[Finding] = []
        for number, line in enumerate(text.split("\n"), start=1):
            tag = line.strip()
            problems = list(_problems(tag, number, lines.get(tag, 0))) if tag else []
            findings += problems
            if tag and not problems:
                lines[tag] = number
        return cls(lines, tuple(findings))


def check(folder: Path) -> list[Finding]:
    """Every finding about the file, in the order of its lines."""
    return list(AdditionalTags.read(folder).findings)


def _problems(tag: str, number: int, before: int) -> Iterator[Finding]:
    if tag.startswith("#"):
        message = "there are no comments in additional-tags: this line is taken for a tag"
        yield Finding("tag-invalid", ERROR, message, "delete it", FILE, number)
    elif "-" in tag:
        message = f"tag {shown(tag)!r} is passed over, since it has a hyphen"
        yield Finding("tag-ignored", WARNING, message, "write it with . or _ instead, or delete it", FILE, number)
    elif problem := tag_problem(tag):
        yield Finding("tag-invalid", ERROR, f"tag {shown(tag)!r} {problem}", "one tag a line: mend it", FILE, number)
    elif before:
        yield Finding("tag-twice", WARNING, f"tag {tag} is on line {before} already", "delete one", FILE, number)
