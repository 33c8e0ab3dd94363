# SPDX-License-Identifier: GPL-2.0-or-later
"""Build directories: whatever a killed build left is ended, unmounted and deleted; what lives is left alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.engines import workspace
from fedpkg_container.engines.ids import IdRange, Ids
from fedpkg_container.engines.workspace import Workspaces, mounts_below, processes_in
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import is_running
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.programs


def test_a_directory_lasts_as_long_as_its_build(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    with workspaces.open("task-1") as workspace:
        (workspace.work / "layer").mkdir()
        assert workspace.directory.parent == workspaces.builds
    assert list(workspaces.builds.iterdir()) == []


def test_the_directory_of_a_running_build_is_kept(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    with workspaces.open("task-1") as workspace:
        assert workspaces.clean_up() == []
        assert workspace.directory.exists()


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    left = workspaces.builds / "task-1-x"
    mounted = left / "mounted"
    mounted.mkdir(parents=True)
    (left / "lock").touch()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mounted], check=True, timeout=30)
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": f"{left}/storage.conf"}
    orphan = subprocess.Popen(["sleep", "1000"], env=environment, start_new_session=True)
    eventually(lambda: orphan.pid in processes_in(left), lambda: processes_in(left))
    assert mounts_below(left) == [str(mounted)]
    assert workspaces.clean_up() == ["task-1-x"]
    assert mounts_below(left) == []
    assert not left.exists()
    assert not is_running(orphan.pid)
    orphan.wait(timeout=PATIENCE)


def test_the_directory_of_a_killed_owner_is_released(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    script = (
        "import os, sys, pathlib\n"
        "from fedpkg_container.engines.workspace import Workspaces\n"
        "with Workspaces(pathlib.Path(sys.argv[1])).open('task-2') as directory:\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], timeout=60, check=False).returncode == -9
    assert len(list(workspaces.builds.iterdir())) == 1
    with workspaces.open("task-3") as workspace:
        assert list(workspaces.builds.iterdir()) == [workspace.directory]


def test_who_had_the_ids_before_is_ended_before_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is killed lets its range of IDs go at once; its processes and files are there a little longer."""
    workspaces = Workspaces(tmp_path)
    left = workspaces.builds / "task-1-x"
    allocated = Ids.allocated

    @contextlib.contextmanager
    def killed_meanwhile(ids: Ids) -> Iterator[IdRange]:
        with allocated(ids) as found:
            left.mkdir()
            (left / "lock").touch()
            yield found

    monkeypatch.setattr(Ids, "allocated", killed_meanwhile)
    with workspaces.open("task-2"):
        assert not left.exists()


def test_deeply_nested_directories_are_removed(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    with workspaces.open("deep") as workspace:
        descriptor = os.open(workspace.work, os.O_RDONLY)
        for _ in range(3000):
            os.mkdir("deep", dir_fd=descriptor)
            below = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.close(descriptor)
    assert list(workspaces.builds.iterdir()) == []


def test_a_process_that_has_the_id_of_one_that_ended_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root kills by ids; RUN of another build can use up ids until one comes again."""
    (tmp_path / "task-1-x").mkdir()
    with subprocess.Popen(["sleep", "1000"]) as process:
        monkeypatch.setattr(workspace, "processes_in", lambda _: [process.pid])
        try:
            with pytest.raises(FedpkgContainerError, match="could not be ended"):
                workspace.remove(tmp_path / "task-1-x")
            assert is_running(process.pid)
        finally:
            process.kill()


@pytest.mark.root
def test_a_process_in_the_control_group_of_a_build_is_one_of_it(tmp_path: Path) -> None:
    with Workspaces(tmp_path).open("task-1") as own:
        if not own.groups:
            pytest.skip("no control groups can be made here")
        with subprocess.Popen(["sleep", "1000"]) as process:
            try:
                assert not workspace._belongs(process.pid, own.directory)
                (own.groups[0] / "cgroup.procs").write_text(str(process.pid))
                assert workspace._belongs(process.pid, own.directory)
            finally:
                process.kill()


#: Shows a gigabyte of nothing as its environment (prctl(2), PR_SET_MM_MAP): every process may, without any rights.
_LARGE_ENVIRONMENT = """
import ctypes, os, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.sbrk.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
size = 1 << 30
at = libc.mmap(None, size, 3, 0x4022, -1, 0)  # readable and writable; private, anonymous, without reserve
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
field = lambda number: int(fields[number - 3])
places = [*map(field, (26, 27, 45, 46, 47)), libc.sbrk(0), *map(field, (28, 48, 49)), at, at + size, 0]
described = struct.pack("=12QIi", *places, 0, -1)  # struct prctl_mm_map
print(libc.prctl(35, 14, described, len(described), 0), flush=True)
time.sleep(1000)
"""


def test_the_environment_that_a_process_shows_is_not_read_whole(tmp_path: Path) -> None:
    """RUN of one build decides how long it is, and all other builds of the builder look at it when they clean up."""
    with subprocess.Popen([sys.executable, "-c", _LARGE_ENVIRONMENT], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "0\n":
                pytest.skip("this kernel does not let processes choose what they show")
            tracemalloc.start()
            assert process.pid not in processes_in(tmp_path)
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
        finally:
            tracemalloc.stop()
            process.kill()
