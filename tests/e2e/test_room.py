"""Disk usage of downloads on a builder: sources and files of the lookaside cache.

Base images are in test_base_images, files written by RUN in test_fault_limits.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.building.limits import disk_guard
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import Limits, Lookaside
from fedpkg_container.image.resolve import lookaside, source
from tests.support.small_disk import small_disk
from tests.support.sources import scm
from tests.support.web import dripping

MEGABYTE = 10**6
LIMITS = Limits(free_space=40 * MEGABYTE)
#: Seconds: endless downloads are stopped long before their own timeout of half an hour.
SOON = 240.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Provide a file system of 100 MB."""
    with small_disk(tmp_path / "disk", "100M") as made:
        yield made.folder


@pytest.fixture
def log(tmp_path: Path) -> Iterator[BuildLog]:
    with BuildLog(tmp_path / "log") as made:
        yield made


@pytest.fixture
def workspace(disk: Path) -> Iterator[Workspace]:
    with Workspaces(disk / "state").open("task") as made:
        yield made


def test_endless_lookaside_file_fills_the_disk(disk: Path, workspace: Workspace, log: BuildLog) -> None:
    folder = workspace.new("source")
    (folder / "sources").write_text(f"SHA512 (data) = {hashlib.sha512(b'').hexdigest()}\n")
    room = disk_guard(disk, LIMITS, log)
    began = time.monotonic()
    with dripping(bytes(MEGABYTE), 0.1) as address:
        with pytest.raises(BuildFailedError, match=r"the builder has only \S+ MB of free disk space"):
            lookaside.fetch_sources(
                folder, workspace, "git+https://example.org/container/x", Lookaside(address), log.report, room
            )
    assert time.monotonic() - began < SOON
    assert shutil.disk_usage(disk).free > 0


def test_disk_is_checked_while_git_waits(disk: Path, workspace: Workspace, log: BuildLog) -> None:
    """git waits for a response while another process fills the disk."""

    def fills() -> None:
        with (disk / "other").open("ab") as file:
            file.write(bytes(20 * MEGABYTE))
        room()

    room = disk_guard(disk, LIMITS, log)
    with dripping(b"", 0.1) as address:
        url = scm("git+http://", address.removeprefix("http://"), "/x", "x")
        with pytest.raises(BuildFailedError, match=r"the builder has only \S+ MB of free disk space"):
            source.fetch_checkout(url, workspace, log.report, fills)


def test_nothing_starts_on_a_full_disk(disk: Path, workspace: Workspace, log: BuildLog) -> None:
    (disk / "other").write_bytes(bytes(80 * MEGABYTE))
    url = scm("git+http://", "127.0.0.1:1", "/x", "x")
    with pytest.raises(BuildFailedError, match=r"the builder has only \S+ MB of free disk space"):
        source.fetch_checkout(url, workspace, log.report, disk_guard(disk, LIMITS, log))
