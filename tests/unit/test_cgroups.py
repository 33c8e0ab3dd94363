# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of workers in both versions of control groups: what is written, and whether one was exceeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.engines import cgroups
from fedpkg_container.engines.workspace import WorkerLimits
from fedpkg_container.image.config import Limits

#: Version → hierarchies that the kernel has, and files with their content after the creation of a group.
VERSIONS = {
    1: (("memory", "pids"), {"memory/{}/memory.limit_in_bytes": "1000000", "pids/{}/pids.max": "64"}),
    2: ((), {"{}/memory.max": "1000000", "{}/pids.max": "64", "cgroup.subtree_control": "+memory +pids"}),
}


@pytest.fixture(params=VERSIONS, ids=lambda version: f"version {version}")
def version(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A directory in the place of the kernel's, as root of the machine."""
    root = tmp_path / "cgroup"
    root.mkdir()
    monkeypatch.setattr(cgroups, "ROOT", root)
    monkeypatch.setattr(cgroups, "in_user_namespace", lambda: False)
    for hierarchy in VERSIONS[request.param][0]:
        (root / hierarchy).mkdir()
    if request.param == 2:
        (root / "cgroup.controllers").write_text("cpu memory pids\n")
    return int(request.param)


def test_limits_of_a_group(version: int, tmp_path: Path) -> None:
    build = tmp_path / "build-1"
    made = cgroups.create(build, memory=1000000, processes=64)
    assert sorted(made) == sorted(cgroups.groups(build))
    for name, content in VERSIONS[version][1].items():
        assert (cgroups.ROOT / name.format(cgroups.name(build))).read_text() == content
    (made[0] / "cgroup.procs").write_text("41\n42\n")
    assert cgroups.processes(build) == [41, 42]


def test_0_means_no_limit(version: int, tmp_path: Path) -> None:
    made = cgroups.create(tmp_path / "build-1", memory=0, processes=0)
    assert [path for group in made for path in group.iterdir()] == []
    assert cgroups.remove(tmp_path / "build-1") == []
    assert cgroups.groups(tmp_path / "build-1") == []


def test_groups_that_cannot_be_made_are_reported(
    version: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container, whose control groups are read-only, or contain processes themselves."""
    hierarchy = cgroups.ROOT / "memory" if version == 1 else cgroups.ROOT
    (hierarchy / cgroups.name(tmp_path / "build-1")).write_text("in the way")
    assert cgroups.create(tmp_path / "build-1", memory=1000000, processes=64) == ()
    assert "no memory and process limits for build-1: " in caplog.text


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
