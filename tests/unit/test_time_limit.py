# SPDX-License-Identifier: GPL-2.0-or-later
"""The time limit of tests, and their names: see tests/conftest.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[2]

HANGS = """
import time
import pytest
from hypothesis import given, strategies

@pytest.fixture
def endless():
    yield
    time.sleep(1000)

def test_a_loop():
    while True:
        pass

@given(strategies.integers())
def test_an_example_without_end(number):
    while True:
        pass

def test_a_teardown_after_a_failure(endless):
    assert False

def test_what_swallows_exceptions():
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass

def test_a_test_that_passes():
    pass
"""


def _pytest(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "pytest.ini").write_text("[pytest]\ntimeout = 1\n")
    (directory / "test_it.py").write_text(HANGS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", str(directory),
               "-c", str(directory / "pytest.ini"), "-p", "no:cacheprovider", *options, str(directory)]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)


def test_tests_that_hang_end_and_the_others_are_run(tmp_path: Path) -> None:
    done = _pytest(tmp_path, "--deselect", "test_it.py::test_what_swallows_exceptions")
    assert "3 failed, 1 passed, 1 deselected, 1 error" in done.stdout
    assert done.stdout.count("has run for more than 1 seconds") >= 3


def test_a_process_that_cannot_be_interrupted_ends(tmp_path: Path) -> None:
    (tmp_path / "quick.py").write_text("import tests.conftest\ntests.conftest.LAST = 3\n")
    done = _pytest(tmp_path, "-k", "swallows", "-p", "quick", "-o", f"pythonpath={tmp_path}")
    assert done.returncode == 1
    assert "Timeout (0:00:04)!" in done.stderr
    assert "test_what_swallows_exceptions" in done.stderr


@pytest.mark.parametrize("text", ["x" * 200_000, b"x" * 200_000])
def test_names_of_tests_fit_into_the_environment(text: object, request: pytest.FixtureRequest) -> None:
    assert max(len(each.nodeid) for each in request.session.items) < 1000
