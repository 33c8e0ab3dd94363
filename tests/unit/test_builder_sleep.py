# SPDX-License-Identifier: GPL-2.0-or-later
"""How a builder of the box waits between two questions for tasks."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from fedpkg_container.box.builder import rest
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs


def test_it_is_woken_by_the_end_of_a_task() -> None:
    with subprocess.Popen(["sleep", "0.2"]) as process:
        began = time.monotonic()
        rest([process.pid], 2 * PATIENCE)
        assert time.monotonic() - began < PATIENCE
        assert process.poll() == 0


def test_processes_that_were_waited_for_wake_nobody() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    began = time.monotonic()
    rest([process.pid], 0.3)
    assert time.monotonic() - began >= 0.3


def test_it_leaves_no_file_open() -> None:
    before = os.listdir("/proc/self/fd")
    with subprocess.Popen(["sleep", "0.1"]) as process:
        rest([process.pid], PATIENCE)
    assert os.listdir("/proc/self/fd") == before
