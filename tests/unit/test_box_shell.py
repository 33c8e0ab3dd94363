# SPDX-License-Identifier: GPL-2.0-or-later
"""The startup files of the box's shell: completion and a prompt in bash, zsh and fish, and no dialog."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fedpkg_container.box.layout import DIRECTORY_VARIABLE, default_directory
from fedpkg_container.box.shell import _write_startup_files
from tests.support.waiting import PATIENCE

#: Shell → commands that print the completion of fedpkg, and the prompt.
COMMANDS = {
    "bash": 'complete -p fedpkg; echo "$PS1"',
    "zsh": 'echo complete ${_comps[fedpkg]}; echo "$PS1"   # zsh accepts comments here',
    "fish": "complete -c fedpkg; fish_prompt",
}


@pytest.mark.programs
@pytest.mark.parametrize("shell", COMMANDS)
def test_a_shell_starts_with_completion_and_prompt(shell: str, tmp_path: Path) -> None:
    _write_startup_files(tmp_path)
    done = subprocess.run(
        [shell, "-i"],
        input=f"{COMMANDS[shell]}\n",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb", "LC_ALL": "C.UTF-8"},
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "complete " in done.stdout, done.stdout + done.stderr
    assert "(box) " in done.stdout
    assert "command not found" not in done.stderr
    assert "Please pick one of the following options" not in done.stdout + done.stderr


def test_startup_files_of_the_user_are_kept(tmp_path: Path) -> None:
    (tmp_path / ".zshrc").write_text("# own\n")
    _write_startup_files(tmp_path)
    assert (tmp_path / ".zshrc").read_text() == "# own\n"


def test_the_environment_names_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, "/srv/box")
    assert default_directory() == Path("/srv/box")
    monkeypatch.delenv(DIRECTORY_VARIABLE)
    assert default_directory().parts[-2:] == ("fedpkg-container", "box")
