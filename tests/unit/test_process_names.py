# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes and mounts of this machine, whose names need not be valid UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from koji.daemon import TaskManager

from fedpkg_container.box.builder import BoxTaskManager
from fedpkg_container.engines.workspace import mounts_below, processes_in
from fedpkg_container.process import is_running, process_status
from tests.support.leftovers import eventually
from tests.support.strange import NAME, strange_process

pytestmark = pytest.mark.programs


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[int]:
    with strange_process(tmp_path) as pid:
        command = Path(f"/proc/{pid}/cmdline")
        eventually(lambda: NAME in command.read_bytes(), command.read_bytes)
        assert Path(f"/proc/{pid}/stat").read_bytes().split(b"(")[1].startswith(b"caf\xe9")
        yield pid


def _manager() -> BoxTaskManager:
    return object.__new__(BoxTaskManager)


def test_status(strange: int) -> None:
    status = process_status(strange)
    assert status is not None
    assert (status.parent, status.session) == (os.getpid(), os.getsid(strange))
    assert is_running(strange)


def test_children(strange: int) -> None:
    found = dict(_manager()._childPIDs(os.getpid()))
    assert found[strange].endswith("caf\N{REPLACEMENT CHARACTER}) S 1 1000")


def test_fields_equal_kojis() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            eventually(lambda: _manager()._getStat(process.pid) is not None, lambda: process.pid)
            ours, kojis = _manager()._getStat(process.pid), TaskManager._getStat(_manager(), process.pid)
        finally:
            process.kill()
    assert ours is not None
    assert (len(ours), ours[:2], ours[3:8]) == (len(kojis), kojis[:2], kojis[3:8])  # the state changes
    assert _manager()._getStat(process.pid) is None


def test_control_characters_in_command_lines_are_replaced() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "\x1b[2J\n" + "x" * 100_000]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        fields = _manager()._getStat(process.pid)
        process.communicate(b"\n", timeout=60)
    assert fields is not None
    assert "\x1b" not in fields[1]
    assert "\n" not in fields[1]
    assert len(fields[1]) <= 4096


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts as root")
@pytest.mark.parametrize("name", [b"caf\xe9", "café a".encode(), b"two words\nand \\ more\r"])
def test_mounts(tmp_path: Path, name: bytes) -> None:
    point = tmp_path / os.fsdecode(name)
    point.mkdir()
    script = 'mount -t tmpfs none "$1" && echo && read -r line'
    command = [b"unshare", b"--mount", b"sh", b"-c", script.encode(), b"sh", os.fsencode(point)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        found = mounts_below(tmp_path, process.pid)
        assert processes_in(tmp_path) == []
        process.communicate(b"\n", timeout=60)
    assert found == [str(point)]
