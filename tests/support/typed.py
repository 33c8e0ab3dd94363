# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of README.md and the tutorial, typed word by word into interactive shells."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pexpect

from tests.support.documented import DOCS, PROGRAMS, blocks

#: Shells as a new user has them: zsh has no interactive comments, and does not split variables into words.
SHELLS = {
    "bash": ("--norc", "--noprofile", "-i"),
    "zsh": ("-f", "-i"),
    "fish": ("--no-config", "--interactive"),
}
#: Prompts, set in the environment, or by a command in fish; the box's shell adds its own.
PROMPT = "READY> "
_PROMPT = re.compile(r"READY> |\(box\) ")
_ROW = re.compile(r"\| `([^`]+)` \|")
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78cDEHMNOZ])")


def lines(page: Path) -> list[str]:
    """Return the command lines of a page in order: of its code blocks, and of tables of commands."""
    found = [
        (block.line, line)
        for block in blocks(page)
        if block.has_commands and not block.reason
        for line in block.text.splitlines()
    ]
    for number, line in enumerate(page.read_text().splitlines(), 1):
        row = _ROW.match(line)
        if row and row[1].split()[0] in PROGRAMS:
            found.append((number, row[1]))
    return [line for _, line in sorted(found, key=lambda each: each[0])]


def programs(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line with their arguments, as written, without redirections."""
    for part in line.split(" && "):
        yield shlex.split(re.sub(r" >>? \S+$", "", part))


def link_source(directory: Path) -> None:
    """Make a directory of the source, of links, with the virtual environment that runs this."""
    directory.mkdir()
    for path in DOCS.parent.iterdir():
        if path.name not in (".git", ".venv"):
            (directory / path.name).symlink_to(path)
    (directory / ".venv").symlink_to(sys.prefix)


@dataclass(frozen=True)
class Result:
    """The result of a line.

    :param output: what the terminal shows, without escape sequences
    """

    status: int
    output: str


class TypingShell:
    """An interactive shell in a terminal, into which lines are typed.

    :param timeout: seconds for one line
    """

    def __init__(self, name: str, environment: Mapping[str, str], directory: Path, *, timeout: float) -> None:
        path = next(str(each) for each in (Path("/bin", name), Path("/usr/bin", name)) if each.exists())
        env = {**environment, "SHELL": path, "PS1": PROMPT, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        self._status = "$status" if name == "fish" else "$?"
        self._child = pexpect.spawn(
            path, [*SHELLS[name]], env=env, cwd=str(directory), encoding="utf-8", codec_errors="replace",
            timeout=timeout, dimensions=(50, 400), echo=False,
        )  # fmt: skip
        if name == "fish":
            self.type(f"function fish_prompt; echo -n '{PROMPT}'; end")

    def type(self, line: str) -> Result:
        """Type a line, and wait for its end."""
        self._child.sendline(line)
        self._child.expect(_PROMPT)
        before = self._child.before or ""
        self._child.sendline(f"printf 'ended:%s\\n' \"{self._status}\"")
        self._child.expect(r"ended:(\d+)\r?\n")
        assert isinstance(self._child.match, re.Match)
        return Result(int(self._child.match[1]), _ESCAPES.sub("", before + (self._child.before or "")))

    def close(self) -> None:
        """End the shell."""
        self._child.close(force=True)
