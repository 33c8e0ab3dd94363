"""Build folders: whatever a killed build left is ended, unmounted and deleted; what lives is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fedpkg_container.engines.workspace import Workspaces, mounts_below, processes_in
from fedpkg_container.process import is_running
from tests.support.waiting import PATIENCE, eventually


def test_a_folder_lasts_as_long_as_its_build(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    with workspaces.open("task-1") as workspace:
        (workspace.work / "layer").mkdir()
        assert workspace.folder.parent == workspaces.builds
    assert list(workspaces.builds.iterdir()) == []


def test_the_folder_of_a_build_that_lives_is_left_alone(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    with workspaces.open("task-1") as workspace:
        assert workspaces.clean_up() == []
        assert workspace.folder.exists()


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


def test_a_killed_owner_gives_its_folder_up(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    script = (
        "import os, sys, pathlib\n"
        "from fedpkg_container.engines.workspace import Workspaces\n"
        "with Workspaces(pathlib.Path(sys.argv[1])).open('task-2') as folder:\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], timeout=60, check=False).returncode == -9
    assert len(list(workspaces.builds.iterdir())) == 1
    with workspaces.open("task-3") as workspace:
        assert list(workspaces.builds.iterdir()) == [workspace.folder]


def test_folders_that_are_very_deep_in_each_other_are_removed(tmp_path: Path) -> None:
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
