# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/tutorial.md, run as they are written there, and their results."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documented import blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
DIRECTORY = "/var/tmp/first-look"
#: Seconds for all commands: the demonstration, and three builds.
TIMEOUT = 1500
#: What the output must contain, in this order.
EXPECTED = (
    "The demonstration took ",
    "builder-1",
    "task ",
    "hello-web:scratch-",
    "hello-web-container: HEAD has been built: hello-web-container-1.0-1",
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


def script(directory: Path, programs: Path) -> str:
    """Return the commands of the page as a shell script; those of a shell in the box become its input."""
    found = [block for block in blocks(PAGE) if block.has_commands and not block.reason]
    lines = [line for block in found for line in block.text.splitlines() if line != "make setup"]
    result = ["set -eu"]
    inside = False
    for line in lines:
        line = line.replace(DIRECTORY, str(directory)).replace(".venv/bin", str(programs))
        result.append("$box shell << 'END OF INPUT'" if line == "$box shell" else line)
        inside = inside or line == "$box shell"
        if inside and line == "exit":
            result.append("END OF INPUT")
            inside = False
    assert not inside
    return "\n".join([*result, ""])


def test_the_script_has_every_command() -> None:
    text = script(Path("/tmp/x"), Path("/opt/bin"))
    assert text.count("$box shell << 'END OF INPUT'") == text.count("\nEND OF INPUT\n") == 2
    assert len(re.findall(r"^fedpkg container-build", text, re.MULTILINE)) == 3
    assert "first-look" not in text
    assert ".venv" not in text


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT + 60)
def test_the_tutorial(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    box = [str(programs / "fedpkg-container-box"), "-d", str(tmp_path / "box")]
    try:
        done = subprocess.run(
            ["bash", "-c", script(tmp_path, programs)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        subprocess.run([*box, "down", "--remove"], timeout=120, check=False, capture_output=True)
    assert done.returncode == 0, done.stdout[-4000:]
    position = 0
    for part in EXPECTED:
        assert part in done.stdout[position:], (
            f"{shlex.quote(part)} is missing after:\n{done.stdout[:position][-2000:]}"
        )
        position = done.stdout.index(part, position) + len(part)
