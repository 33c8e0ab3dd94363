# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of a build: disk, time and log."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container.engines.storage import size_of
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.building.limits import DiskMonitor
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import Limits

pytestmark = pytest.mark.programs

MB = 10**6


def _write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))


def test_allocated_blocks_count_and_holes_do_not(tmp_path: Path) -> None:
    _write(tmp_path / "deep" / "merged" / "file", MB)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(100 * MB)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert MB <= size_of(tmp_path) < 2 * MB


def test_deeply_nested_files_count(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("x" * 20, dir_fd=descriptor)
        below = os.open("x" * 20, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor), "wb") as file:
        file.write(os.urandom(5 * MB))
    os.close(descriptor)
    assert size_of(tmp_path) > 5 * MB
    subprocess.run(["rm", "-rf", str(tmp_path / ("x" * 20))], check=True)  # pytest could not


def test_build_above_its_size_limit_fails_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    # Nothing else writes and deletes files in this file system.
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=usage.total - size_of(path)))
    watch = DiskMonitor(tmp_path, Limits(build_size=4 * MB, free_space=0))
    watch.check()
    _write(tmp_path / "some", MB)
    watch.check()
    _write(tmp_path / "more", 4 * MB)
    with pytest.raises(BuildFailedError, match="the build wrote more than 4 MB"):
        watch.check()


def test_full_file_system_fails_the_build(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    DiskMonitor(tmp_path, Limits(build_size=sys.maxsize, free_space=free // 2)).check()
    with pytest.raises(BuildFailedError, match="the builder has only .* of free disk space"):
        DiskMonitor(tmp_path, Limits(build_size=sys.maxsize, free_space=free * 2)).check()


def test_buildtime_limit_is_capped() -> None:
    limits = Limits(build_timeout=100, build_timeout_max=200)
    assert [limits.timeout_for(wanted) for wanted in (0, 50, 150, 500)] == [100, 50, 150, 200]


def test_only_build_output_is_limited(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "log") as log:
        log.max_bytes = 10
        log.append_output(b"0123456789")
        with pytest.raises(BuildFailedError, match="the build printed more than"):
            log.append_output(b"more")
        log.report("why it failed")
    assert (tmp_path / "log").read_text() == "0123456789\nwhy it failed\n"
