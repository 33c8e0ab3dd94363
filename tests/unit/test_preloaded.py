# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs in preloaded processes do what they do as usual: see tests/support/preloaded.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import preloaded
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "70"}


@pytest.mark.parametrize(
    "command",
    [
        ("fedpkg-container", "container-build", "--dry-run", "--offline"),
        ("fedpkg-container", "container-build", "--help"),
        ("fedpkg-container-registry", "promote", "\udcff"),
        ("koji", "help", "build"),
        ("git", "status"),
    ],
)
@pytest.mark.parametrize("locale", ["C.UTF-8", pytest.param("C", marks=pytest.mark.slow)])
def test_status_and_output_are_those_of_a_new_interpreter(
    command: tuple[str, ...], locale: str, tmp_path: Path
) -> None:
    env = {**ENVIRONMENT, "HOME": str(tmp_path), "LC_ALL": locale}
    usual = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    done = preloaded.run(command, cwd=tmp_path, env=env, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (usual.returncode, usual.stdout, usual.stderr)
    assert done.stdout + done.stderr


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        preloaded.run(("fedpkg-container", "container-build", "--help"), cwd=tmp_path, env=ENVIRONMENT, timeout=0)
