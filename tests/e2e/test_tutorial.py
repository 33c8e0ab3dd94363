# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/tutorial.md, typed as they are written there into bash, zsh and fish, and their results."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documented import DOCS
from tests.support.typed import SHELLS, TypingShell, lines, link_source

PAGE = DOCS / "tutorial.md"
DIRECTORY = "/var/tmp/first-look"
#: Seconds for all commands (the demonstration, and three builds), and for one.
TIMEOUT, LINE_TIMEOUT = 1500, 900
#: The command that is refused is the one after this.
MISTAKE = "echo 'RUNN dnf update' >> Dockerfile"
REFUSED = 3
#: What the output must contain, in this order.
EXPECTED = (
    "The demonstration took ",
    "builder-1",
    "task ",
    "hello-web:scratch-",
    "HEAD has been built: hello-web-container-1.0-1",
    "[uncommitted]",
    "[instruction]",
    "Updated 1 path from the index",
    "container/mine.git",
    "Adding 1 packages to tag rawhide-container-candidate",
    "built mine-container-1.0-1",
    "completed successfully",
    "mine-container-1.0-1 in ",
    "latest  set",
    "mine-container-1.0-1, promoted ",
    "new blobs",
)


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT + 60)
@pytest.mark.parametrize("name", SHELLS)
def test_the_tutorial(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    link_source(source)
    typed = lines(PAGE)
    output = ""
    environment = {**os.environ, "MAKEFLAGS": "n"}  # print the commands of make setup only: they have been run
    shell = TypingShell(name, environment, source, timeout=LINE_TIMEOUT)
    try:
        for before, line in zip(["", *typed], typed):
            result = shell.type(line.replace(DIRECTORY, str(tmp_path)))
            output += f"{line}\n{result.output}"
            assert result.status == (REFUSED if before == MISTAKE else 0), output[-4000:]
    finally:
        shell.close()
        box = [str(Path(sys.executable).parent / "fedpkg-container-box"), "-d", str(tmp_path / "box")]
        subprocess.run([*box, "down", "--remove"], timeout=120, check=False, capture_output=True)
    position = 0
    for part in EXPECTED:
        assert part in output[position:], f"{shlex.quote(part)} is missing after:\n{output[:position][-2000:]}"
        position = output.index(part, position) + len(part)
