"""``fedpkg-container-box``: what it says of a box that does not run, and when nobody reads on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container.box.layout import Layout

PROGRAM = [sys.executable, "-m", "fedpkg_container.box.cli"]


def _box(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "-d", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a box that does not run."""
    Layout.open(tmp_path / "box")
    return tmp_path / "box"


@pytest.mark.parametrize("command", ["prune", "shell"])
def test_what_needs_a_running_box_says_so(command: str, folder: Path) -> None:
    done = _box(folder, command)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the box does not run\n       start it: ")
    assert done.stderr.endswith(f" -d {folder} up\n")


@pytest.mark.parametrize("arguments", [("status",), ("--help",)])
def test_output_that_nobody_reads_ends_it_in_silence(arguments: tuple[str, ...], folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*PROGRAM, "-d", str(folder), *arguments]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
