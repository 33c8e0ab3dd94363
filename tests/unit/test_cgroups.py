# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory limits of workers: the default, and whether one was exceeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.engines import cgroups
from fedpkg_container.engines.workspace import WorkerLimits
from fedpkg_container.image.config import Limits


def test_memory_is_limited_where_a_site_sets_nothing() -> None:
    """A build that uses all memory must not end the builder's other processes."""
    total = next(int(line.split()[1]) * 1024 for line in Path("/proc/meminfo").read_text().splitlines())
    assert 0 < WorkerLimits().memory == Limits().memory < total


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill {}\n"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"),
    ],
    ids=["version 2", "version 1"],
)
def test_whether_the_limit_was_exceeded(tmp_path: Path, file: str, text: str) -> None:
    groups = [tmp_path / "pids", tmp_path / "memory"]
    for group in groups:
        group.mkdir()
    assert not cgroups.out_of_memory(groups)
    for kills, exceeded in ((0, False), (1, True)):
        (groups[1] / file).write_text(text.format(kills))
        assert cgroups.out_of_memory(groups) is exceeded
