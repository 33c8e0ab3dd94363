"""What a build may use of its builder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container.engines.storage import size_of
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.building.limits import Watch
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import Limits

pytestmark = pytest.mark.programs

MB = 10**6


def _write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))


def test_what_is_on_disk_counts_and_holes_do_not(tmp_path: Path) -> None:
    _write(tmp_path / "deep" / "merged" / "file", MB)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(100 * MB)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert MB <= size_of(tmp_path) < 2 * MB


def test_what_lies_very_deep_counts(tmp_path: Path) -> None:
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


def test_a_build_that_writes_too_much_is_ended_at_once(tmp_path: Path) -> None:
    watch = Watch(tmp_path, Limits(size=4 * MB, free=0))
    watch.check()
    _write(tmp_path / "some", MB)
    watch.check()
    _write(tmp_path / "more", 4 * MB)
    with pytest.raises(BuildFailedError, match="the build wrote more than 4 MB"):
        watch.check()


def test_a_full_file_system_ends_a_build(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    Watch(tmp_path, Limits(size=sys.maxsize, free=free // 2)).check()
    with pytest.raises(BuildFailedError, match="the builder has only .* left"):
        Watch(tmp_path, Limits(size=sys.maxsize, free=free * 2)).check()


def test_container_yaml_can_ask_for_time_up_to_the_longest() -> None:
    limits = Limits(time=100, longest=200)
    assert [limits.seconds(wanted) for wanted in (0, 50, 150, 500)] == [100, 50, 150, 200]


def test_output_is_limited_and_our_own_lines_are_not(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "log") as log:
        log.longest = 10
        log.output(b"0123456789")
        with pytest.raises(BuildFailedError, match="the build printed more than"):
            log.output(b"more")
        log.say("why it failed")
    assert (tmp_path / "log").read_text() == "0123456789\nwhy it failed\n"
