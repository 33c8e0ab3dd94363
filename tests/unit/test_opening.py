# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening what a worker wrote: no component of a path is a link, and nothing is waited for."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.engines import exported as exporting
from fedpkg_container.engines import hook
from fedpkg_container.engines.exported import Exported
from fedpkg_container.engines.opening import open_directory, open_plain
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.registry.manifests import Descriptor
from tests.support.attack import SECRET

pytestmark = pytest.mark.programs

DIGEST = "1" * 64


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspaces(tmp_path / "state").open("opening") as made:
        yield made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the task's, with files of the names that the task reads."""
    directory = tmp_path / "outside"
    directory.mkdir()
    for name in (DIGEST, "after-run.log"):
        (directory / name).write_text(SECRET)
    return directory


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"text")
    with open_plain(tmp_path / "a" / "b" / "file", tmp_path) as file:
        assert file.read() == b"text"


@pytest.mark.parametrize("linked", ["a", "a/b", "a/b/file"])
def test_no_component_may_be_a_link(tmp_path: Path, linked: str) -> None:
    top, real = tmp_path / "top", tmp_path / "real"
    (top / linked).parent.mkdir(parents=True)
    target = real / linked
    (real / "a" / "b").mkdir(parents=True)
    (real / "a" / "b" / "file").write_bytes(b"text")
    (top / linked).symlink_to(target)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"Too many levels|Not a directory"):
        open_plain(top / "a" / "b" / "file", top)
    assert len(os.listdir("/proc/self/fd")) == before


def test_pipes_and_directories_are_no_plain_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory"):
        with pytest.raises(OSError, match=name):
            open_plain(tmp_path / name, tmp_path)


def test_what_is_not_below_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not in the subpath"):
        open_directory(Path("/etc"), tmp_path)


def test_blobs_are_not_read_through_a_link(workspace: Workspace, outside: Path) -> None:
    (workspace.work / "exported-0").symlink_to(outside)
    exported = Exported({}, workspace.work / "exported-0", workspace.work)
    blob = Descriptor("", f"sha256:{DIGEST}", len(SECRET), {})
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        b"".join(exported.chunks(blob))


def test_the_log_of_hooks_is_not_read_through_a_link(workspace: Workspace, outside: Path) -> None:
    (workspace.work / "after-run").symlink_to(outside)
    assert hook.complaints(workspace) == []


def test_a_directory_in_the_place_of_the_log_of_hooks_breaks_nothing(workspace: Workspace) -> None:
    (workspace.work / "after-run" / "after-run.log").mkdir(parents=True)
    assert hook.complaints(workspace) == []


@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_file_of_a_worker_is_copied_with_its_holes_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
) -> None:
    """A file that is only holes would need no space in the task's file system, and would be uploaded whole."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "not here")

    if not in_kernel:
        monkeypatch.setattr(os, "sendfile", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    size = 3 * exporting._CHUNK
    with source.open("wb") as file:
        file.write(b"text")
        file.truncate(size)
    assert source.stat().st_blocks * 512 < size
    with source.open("rb") as original, target.open("wb") as copy:
        while exporting._copy_part(original.fileno(), copy.fileno()):
            pass
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 >= size
