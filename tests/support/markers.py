# SPDX-License-Identifier: GPL-2.0-or-later
"""Markers for what tests need: `pytest -m "not programs"` runs those that need only Python.

The markers ``box`` and ``programs`` are set by directories and fixtures. A module of unit tests that start programs has
``pytestmark = pytest.mark.programs``; a test without the marker cannot start one.
"""

from __future__ import annotations

import sys
from multiprocessing import util
from typing import Any

import git  # noqa: F401, starts git when it is imported: not within the first test that uses it
import pytest

#: Directories whose tests all start programs.
_PROGRAMS = ("tests/cluster/", "tests/contract/", "tests/e2e/", "tests/redirects/", "tests/security/", "tests/stock/")
#: Fixtures that provide a box or its servers, and directories of tests that need one.
_BOX = {"access", "box", "hub", "packager", "person", "small_box"}
_BOX_DIRECTORIES = ("tests/contract/", "tests/stock/")
#: The audit events of starting a program, or a process.
_EVENTS = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}

#: Name of the running test, if it must not start programs.
_guarded: list[str] = []


def mark(item: pytest.Item) -> None:
    """Set the markers of a test."""
    if not item.nodeid.startswith(_PROGRAMS):
        return
    item.add_marker("programs")
    if item.nodeid.startswith(_BOX_DIRECTORIES) or not _BOX.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker("box")


def guard(item: pytest.Item) -> None:
    """From now on, forbid starting programs in tests without the marker."""
    _guarded[:] = [] if item.get_closest_marker("programs") else [item.nodeid]


def _audit(event: str, _arguments: tuple[Any, ...]) -> None:
    if _guarded and event in _EVENTS:
        pytest.fail(f"{_guarded[0]} starts a program and has no marker `programs`")


def _spawn(*arguments: Any, **named: Any) -> Any:
    """Start a process of multiprocessing, which has no audit event for that."""
    _audit("subprocess.Popen", ())
    return _SPAWN(*arguments, **named)


_SPAWN = util.spawnv_passfds
util.spawnv_passfds = _spawn
sys.addaudithook(_audit)
