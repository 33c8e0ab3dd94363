# SPDX-License-Identifier: GPL-2.0-or-later
"""README.md and the tutorial in bash, zsh and fish: each shell passes the words that are written there.

tests/e2e/test_tutorial.py and test_readme.py run the real programs.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.documented import DOCS
from tests.support.typed import SHELLS, lines, programs
from tests.support.waiting import PATIENCE

README, TUTORIAL = DOCS.parent / "README.md", DOCS / "tutorial.md"
#: Words that are part of the shell.
BUILTINS = {"cd", "echo", "exit", "export"}
#: A program that appends its words to a file, separated by tabs.
STUB = """\
#!/bin/sh
{ printf '%s' "$0"; [ $# -eq 0 ] || printf '\\t%s' "$@"; printf '\\n'; } >> "$WORDS"
"""


@pytest.mark.programs
@pytest.mark.parametrize("page", [README, TUTORIAL], ids=lambda page: page.stem)
@pytest.mark.parametrize("shell", SHELLS)
def test_arguments_that_programs_receive(shell: str, page: Path, tmp_path: Path) -> None:
    typed = lines(page)
    expected = [command for line in typed for command in programs(line) if command[0] not in BUILTINS]
    # make is found before PATH is set by a command of the page, the others only if that has an effect.
    first, venv = tmp_path / "bin", tmp_path / ".venv" / "bin"
    for directory, names in ((first, {"make"}), (venv, {Path(command[0]).name for command in expected})):
        directory.mkdir(parents=True)
        for name in names:
            (directory / name).write_text(STUB)
            (directory / name).chmod(0o755)
    path = f"{first}:/usr/bin:/bin" if page == TUTORIAL else f"{venv}:/usr/bin:/bin"
    words = tmp_path / "words"
    subprocess.run(
        [shell, *SHELLS[shell]],
        input="".join(f"{line}\n" for line in typed if line != "exit"),
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "WORDS": str(words), "TERM": "dumb", "LC_ALL": "C.UTF-8"},
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    found = [line.split("\t") for line in words.read_text().splitlines()]
    assert [[Path(name).name, *rest] for name, *rest in found] == [[Path(name).name, *rest] for name, *rest in expected]


def test_lines_and_commands_are_found() -> None:
    assert len(lines(README)) > 12
    assert len(lines(TUTORIAL)) > 25
    assert "make demo" in lines(README)
    assert "fedpkg container-build --scratch" in lines(README)
    line = "sed 's/a b/c/' ../x > Dockerfile"
    assert list(programs(f"git add x && {line}")) == [["git", "add", "x"], ["sed", "s/a b/c/", "../x"]]
