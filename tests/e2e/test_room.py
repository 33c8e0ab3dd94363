# SPDX-License-Identifier: GPL-2.0-or-later
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
from fedpkg_container.process import run
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
        yield made.directory


@pytest.fixture
def log(tmp_path: Path) -> Iterator[BuildLog]:
    with BuildLog(tmp_path / "log") as made:
        yield made


@pytest.fixture
def workspace(disk: Path) -> Iterator[Workspace]:
    with Workspaces(disk / "state").open("task") as made:
        yield made


def test_endless_lookaside_file_fills_the_disk(disk: Path, workspace: Workspace, log: BuildLog) -> None:
    directory = workspace.new("source")
    (directory / "sources").write_text(f"SHA512 (data) = {hashlib.sha512(b'').hexdigest()}\n")
    room = disk_guard(disk, LIMITS, log)
    began = time.monotonic()
    with dripping(bytes(MEGABYTE), 0.1) as address:
        with pytest.raises(BuildFailedError, match=r"the builder has only \S+ MB of free disk space"):
            lookaside.fetch_sources(
                directory, workspace, "git+https://example.org/container/x", Lookaside(address), log.report, room
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


def _tree(directory: Path, kind: str, mode: str, entry: str, number: int) -> str:
    """Store a tree in which one entry has many names; return its ID."""
    lines = "".join(f"{mode} {kind} {entry}\t{name}\n" for name in range(number))
    return run(["git", "-C", directory, "mktree"], stdin=lines.encode(), timeout=60).text.strip()


def test_a_small_repository_with_many_files(tmp_path: Path, log: BuildLog) -> None:
    """200,000 files in four objects of git: small to fetch, large on disk."""
    repository = tmp_path / "repository"
    run(["git", "init", "--quiet", "--bare", repository], timeout=60)
    git: list[str | Path] = ["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.org"]
    blob = run([*git, "hash-object", "-w", "--stdin"], stdin=b"", timeout=60).text.strip()
    tree = _tree(repository, "blob", "100644", blob, 100)
    for number in (100, 20):
        tree = _tree(repository, "tree", "040000", tree, number)
    commit = run([*git, "commit-tree", tree, "-m", "many"], timeout=60).text.strip()
    run([*git, "update-ref", "refs/heads/main", commit], timeout=60)
    assert sum(path.stat().st_size for path in (repository / "objects").rglob("*") if path.is_file()) < 10_000
    limits = Limits(build_files=5000, free_space=0, free_files=0)
    with Workspaces(tmp_path / "state").open("task") as workspace:
        url = scm("git+file://", "", str(repository), commit)
        with pytest.raises(BuildFailedError, match="more than 5000 files"):
            source.fetch_checkout(url, workspace, log.report, disk_guard(workspace.directory, limits, log))
