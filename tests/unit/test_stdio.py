# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard streams of all programs: closed, full, and arguments that are not valid UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container.text import os_error_solution, os_error_text
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

#: A program that prints, opens a file, and prints again.
_PROGRAM = """
import sys
from fedpkg_container.stdio import run_with_safe_stdio
def run():
    print("out")
    with open(sys.argv[1], "w") as file:
        file.write("content")
    print("more")
    print("err", file=sys.stderr)
    return 0
sys.exit(run_with_safe_stdio(run))
"""


def _run(redirections: str, argument: str | bytes) -> subprocess.CompletedProcess[bytes]:
    command: list[str | bytes] = [
        "sh",
        "-c",
        f'exec "$@" {redirections}',
        "sh",
        sys.executable,
        "-c",
        _PROGRAM,
        argument,
    ]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(command, env=buffered, capture_output=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("redirections", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_receive_what_a_file_gets(redirections: str, tmp_path: Path) -> None:
    done = _run(redirections, str(tmp_path / "file"))
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "content"
    assert b"Traceback" not in done.stderr


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    done = _run(">/dev/full", str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["err", "error: standard output: No space left on device"]


def test_argument_that_is_not_utf_8(tmp_path: Path) -> None:
    done = _run("", os.fsencode(tmp_path) + b"/caf\xe9")
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"error: argument {tmp_path}/caf\\xe9 is not valid UTF-8\n")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("module", ["registry_cli", "cluster_cli", "box.cli"])
def test_every_program_has_safe_streams(module: str) -> None:
    command: list[str | bytes] = [sys.executable, "-m", f"fedpkg_container.{module}", b"--\xff"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        b"error: argument --\\xff is not valid UTF-8\n       write it in UTF-8\n",
    )


@pytest.mark.parametrize(
    ("error", "text", "solution"),
    [
        (OSError(28, "No space left on device"), "No space left on device", "free space"),
        (PermissionError(13, "Permission denied", "/a"), "/a: Permission denied", "permissions"),
        (OSError(18, "Invalid cross-device link", "/a", None, b"/b"), "/a -> /b: Invalid cross-device link", ""),
        (FileNotFoundError(2, "No such file or directory"), "the working directory no longer exists", "cd"),
        (OSError("timed out"), "timed out", ""),
    ],
)
def test_system_errors_have_no_number(error: OSError, text: str, solution: str) -> None:
    assert os_error_text(error) == text
    assert solution in os_error_solution(error)
