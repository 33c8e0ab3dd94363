# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands in the code blocks of the documentation.

A block whose commands cannot be run has a comment with the reason directly before it: ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (DOCS / "tutorial.md", *sorted((DOCS / "howto").glob("*.md")))
#: First words of commands.
PROGRAMS = frozenset(
    "$EDITOR .venv/bin/python /opt/venv/bin/python cat cd curl dnf echo exit export fedpkg fedpkg-container"
    " fedpkg-container-box fedpkg-container-cluster fedpkg-container-registry for git koji ln make mkdir pipx podman"
    " python3 rm sed skopeo systemctl tail touch".split()
)
_ASSIGNMENT = re.compile(r"[a-z_]+=")
_MARK = re.compile(r"<!-- not run: (.+?) -->\s*")
_COMMENT = re.compile(r"(?:^|\s{2,})#\s.*|\s{3,}#.*")


@dataclass(frozen=True)
class Block:
    """A code block.

    :param line: its number in the page
    :param reason: why its commands are not run; empty if they are
    """

    page: Path
    line: int
    text: str
    reason: str

    @property
    def has_commands(self) -> bool:
        """Whether it contains commands, rather than a file, an output or the syntax of a command."""
        first_words = {command.split()[0] for command in self.commands}
        return not first_words.isdisjoint(PROGRAMS) or any(map(_ASSIGNMENT.match, first_words))

    @property
    def commands(self) -> list[str]:
        """Its lines without comments; a line that is continued counts as one."""
        lines = (_COMMENT.sub("", line).strip() for line in self.text.replace("\\\n", " ").splitlines())
        return [" ".join(line.split()) if "'" not in line else line for line in lines if line]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page."""
    reason = ""
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type in ("code_block", "fence"):
            assert token.map is not None
            yield Block(page, token.map[0] + 1, token.content, reason)
        marked = _MARK.fullmatch(token.content) if token.type == "html_block" else None
        reason = marked[1] if marked else ""


def commands(page: str) -> list[str]:
    """Return the commands of a how-to that can be run.

    :param page: name without suffix
    """
    found = blocks(DOCS / "howto" / f"{page}.md")
    return [command for block in found if block.has_commands and not block.reason for command in block.commands]
