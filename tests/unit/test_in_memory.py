# SPDX-License-Identifier: GPL-2.0-or-later
"""Where pytest's temporary files are: in memory if there is plenty of it, and not after a successful run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from fedpkg_container.locking import locked
from tests import in_memory
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[2]
#: Runs the module with another directory, and with less space and memory.
_RUN = """
import sys
from pathlib import Path
from tests import in_memory
in_memory.MEMORY, in_memory.SPACE, in_memory.AVAILABLE = Path(sys.argv.pop(1)), 1, 1
sys.exit(in_memory.main())
"""


def _run(memory: Path, test: Path, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    variables = {
        name: value for name, value in os.environ.items() if name not in (in_memory.VARIABLE, "PYTEST_ADDOPTS")
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUN, memory, "-q", "-s", "-p", "no:cacheprovider", "--rootdir", test.parent, test],
        cwd=ROOT, env={**variables, **(env or {})}, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    path = tmp_path / "memory"
    path.mkdir()
    return path


@pytest.fixture
def test(tmp_path: Path) -> Path:
    """A test that prints the directory that it was given."""
    path = tmp_path / "test_one.py"
    path.write_text("def test_it(tmp_path):\n    print(f'in {tmp_path}')\n    (tmp_path / 'file').touch()\n")
    return path


def test_files_are_removed_after_a_successful_run(memory: Path, test: Path) -> None:
    status, printed, _ = _run(memory, test)
    assert status == 0, printed
    assert f"in {memory}/fedpkg-container-tests-" in printed
    assert list(memory.iterdir()) == []


def test_files_of_a_failed_run_are_kept_until_the_next_one(memory: Path, test: Path) -> None:
    passing = test.read_text()
    test.write_text(f"{passing}    assert False\n")
    status, _, errors = _run(memory, test)
    (kept,) = memory.iterdir()
    assert (status, errors) == (1, f"temporary files of the tests: {kept}\n")
    assert len(list(kept.rglob("file"))) == 1
    long_ago = time.time() - 1000
    os.utime(kept, (long_ago, long_ago))
    test.write_text(passing)
    assert _run(memory, test)[0] == 0
    assert list(memory.iterdir()) == []


def test_a_variable_of_pytest_is_respected(memory: Path, test: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    status, printed, _ = _run(memory, test, {in_memory.VARIABLE: str(other)})
    assert status == 0
    assert f"in {other}/" in printed
    assert list(memory.iterdir()) == []


def test_directories_of_other_runs_are_kept(memory: Path) -> None:
    running, starting, strange = (memory / f"fedpkg-container-tests-{name}" for name in ("running", "starting", "link"))
    running.mkdir()
    starting.mkdir()
    (memory / "file").mkdir()
    strange.symlink_to(memory / "file")
    long_ago = time.time() - 1000
    os.utime(strange, (long_ago, long_ago), follow_symlinks=False)
    with locked(running / "lock", wait=True):
        os.utime(running, (long_ago, long_ago))
        in_memory.remove_old(memory)
    assert {path.name for path in memory.iterdir()} == {running.name, starting.name, strange.name, "file"}
    in_memory.remove_old(memory)
    assert {path.name for path in memory.iterdir()} == {starting.name, strange.name, "file"}


def test_directory_must_have_space_and_run_programs(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "SPACE", 1)
    monkeypatch.setattr(in_memory, "AVAILABLE", 1)
    assert in_memory.is_suitable(memory) == (os.geteuid() == 0)
    assert not in_memory.is_suitable(Path("/proc/self"))
    assert not in_memory.is_suitable(memory / "missing")
    monkeypatch.setattr(in_memory, "AVAILABLE", 1 << 60)
    assert not in_memory.is_suitable(memory)
    monkeypatch.setattr(in_memory, "AVAILABLE", 1)
    monkeypatch.setattr(in_memory, "SPACE", shutil.disk_usage(memory).total + 1)
    assert not in_memory.is_suitable(memory)
