# SPDX-License-Identifier: GPL-2.0-or-later
"""Build directories, and their complete cleanup, however a build ended.

Every build has a directory with a separate store, and reads base images from stores that all builds share. The
directory is locked while its build runs: an unlocked one was left by a killed build, and the next build ends its
processes, unmounts the mounts below it, and deletes it.

A build's directory belongs to the task. Its worker owns ``work`` in it, and sees only selected parts of the rest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from fedpkg_container.engines import cgroups
from fedpkg_container.engines.ids import ACCOUNT, IdRange, Ids, read_ids
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.locking import locked
from fedpkg_container.process import kill_all, process_ids, run
from fedpkg_container.signals import shield_signals

_log = logging.getLogger(__name__)

#: Timeout of an unmount, seconds.
UNMOUNT_TIMEOUT = 30.0
#: Timeout of a deletion, seconds.
DELETE_TIMEOUT = 600.0
#: Solution for remains of a build that the builder cannot remove.
_BY_HAND = "clean up as root, or restart the builder"
#: Read limit for a process's environment and mounts, bytes: the parts needed are near the start of both.
_LONGEST_FACTS = 256 * 1024
#: An escaped byte in mountinfo.
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True)
class WorkerLimits:
    """Common limits of all processes of a worker.

    :param memory: bytes; 0 for no limit
    :param processes: processes and threads; 0 for no limit
    """

    memory: int = field(default_factory=cgroups.half_of_memory)
    processes: int = 4096


@dataclass(frozen=True)
class Workspace:
    """The directory of one build.

    :param directory: the task's own directory; its worker sees parts of it, read-only
    :param ids: IDs of the worker
    :param groups: control groups of the worker
    """

    directory: Path
    ids: IdRange
    groups: tuple[Path, ...] = ()

    @property
    def work(self) -> Path:
        """The worker's directory. Others must not follow links there, or open special files."""
        return self.directory / "work"

    def prepare(self) -> None:
        """Make a worker's directories."""
        for path in (self.work, *(self.work / name for name in ("graph", "run", "home", "tmp"))):
            path.mkdir(mode=0o700)
            os.lchown(path, self.ids.first, self.ids.first)

    def new(self, name: str) -> Path:
        """Make a directory owned by the worker."""
        path = self.work / name
        path.mkdir(mode=0o755)
        os.lchown(path, self.ids.first, self.ids.first)
        return path

    def give(self, path: Path) -> None:
        """Change the owner of a directory tree made by this process to the worker."""
        run(["chown", "-R", "-h", f"{self.ids.first}:{self.ids.first}", "--", path], timeout=DELETE_TIMEOUT)


class Workspaces:
    """The build directories of one builder.

    :param directory: parent directory
    :param account: owner of the subordinate IDs
    :param limits: of each worker
    """

    def __init__(self, directory: Path, *, account: str = ACCOUNT, limits: WorkerLimits | None = None) -> None:
        self.directory = directory
        self.account = account
        self.limits = limits or WorkerLimits()
        self.builds = directory / "builds"
        self.shared = directory / "shared"
        for path in (self.builds, self.shared):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @cached_property
    def ids(self) -> Ids:
        """The subordinate IDs of this machine.

        :raises FedpkgContainerError: if there are none; states what to configure
        """
        return read_ids(self.account)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Workspace]:
        """Make a locked directory; it is cleaned up and deleted at the end.

        :param name: of the build; part of the directory's name
        """
        with contextlib.ExitStack() as stack:
            ids = stack.enter_context(self.ids.allocated())
            self.clean_up()  # a killed build may have had these IDs, and its processes may live a moment longer
            with self._nobody_else():
                path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.builds))
                stack.enter_context(locked(path / "lock", wait=True))
            try:
                limits = self.limits
                groups = cgroups.create(path, memory=limits.memory, processes=limits.processes)
                workspace = Workspace(path, ids, groups)
                workspace.prepare()
                yield workspace
            finally:
                with shield_signals():
                    self._try_to_remove(path)

    def _nobody_else(self) -> contextlib.AbstractContextManager[IO[str]]:
        """Prevent cleanup while a directory is made: until it is locked, it looks abandoned."""
        return locked(self.directory / "builds.lock", wait=True)

    def clean_up(self) -> list[str]:
        """Remove remains of killed builds; the directories' names."""
        removed = []
        with self._nobody_else():
            for path in sorted(self.builds.iterdir()):
                try:
                    with locked(path / "lock", wait=False):
                        if self._try_to_remove(path):
                            removed.append(path.name)
                except (BlockingIOError, FileNotFoundError):
                    continue
        return removed

    @staticmethod
    def _try_to_remove(path: Path) -> bool:
        """Remove a directory; on failure, which must not block builds, log a warning and retry later."""
        try:
            remove(path)
        except (FedpkgContainerError, OSError) as error:
            _log.warning("%s could not be removed: %s", path, error)
            return False
        return True


def remove(path: Path) -> None:
    """End a build's processes, unmount mounts below its directory, remove its control groups, delete it.

    :raises FedpkgContainerError: if a process could not be ended, or a mount not unmounted
    """
    left = kill_all(lambda: processes_in(path), belongs=lambda pid: _belongs(pid, path))
    if left:
        raise FedpkgContainerError(f"processes of {path} could not be ended: {left}", solution=_BY_HAND)
    for mount in sorted(mounts_below(path), reverse=True):
        run(["umount", "--lazy", mount], timeout=UNMOUNT_TIMEOUT, check=False)
    still = mounts_below(path)
    if still:
        raise FedpkgContainerError(f"{still[0]} could not be unmounted", solution=_BY_HAND)
    if groups := cgroups.remove(path):
        raise FedpkgContainerError(f"the control group {groups[0]} could not be removed", solution=_BY_HAND)
    # rm, since directories may be nested too deeply for Python's function.
    run(["rm", "-rf", "--one-file-system", "--", path], timeout=DELETE_TIMEOUT)


def mounts_below(path: Path, pid: int | str = "self") -> list[str]:
    """Mount points at or below a path."""
    try:
        points = [os.fsdecode(point) for point, _ in _mounts(pid)]
    except OSError:
        return []
    return [point for point in points if point == str(path) or point.startswith(f"{path}/")]


def _mounts(pid: int | str) -> list[tuple[bytes, bytes]]:
    """Return the mount point and the whole line of each mount of a process. Names need not be valid UTF-8.

    :raises OSError: if there is no such process
    """
    lines = [line for line in Path(f"/proc/{pid}/mountinfo").read_bytes().split(b"\n") if line]
    return [(_unescaped(line.split(b" ")[4]), _unescaped(line)) for line in lines]


def _unescaped(text: bytes) -> bytes:
    """Decode the bytes that the kernel writes as three octal digits: spaces and newlines."""
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), text)


def processes_in(path: Path) -> list[int]:
    """Return processes with root file system or working directory in a build's store, or started for it."""
    pids = cgroups.processes(path)
    pids += [pid for pid in process_ids() if pid != os.getpid() and pid not in pids and _belongs(pid, path)]
    return pids


def _belongs(pid: int, path: Path) -> bool:
    """Return whether a process is in a build's control group or store, or was started for it."""
    marker = os.fsencode(f"{path}/")
    try:
        groups, environment, mounts = (_beginning(pid, name) for name in ("cgroup", "environ", "mountinfo"))
    except OSError:
        return False
    if os.fsencode(cgroups.name(path)) in groups.replace(b"\n", b"/").split(b"/"):
        return True
    root = next((line for line in mounts.split(b"\n") if line.split(b" ")[4:5] == [b"/"]), b"")
    return b"CONTAINERS_STORAGE_CONF=" + marker in environment or marker in _unescaped(root)


def _beginning(pid: int, name: str) -> bytes:
    """Return the first bytes of a file in /proc of a process, possibly of another build.

    A process controls the contents and length of its environment (prctl(2), PR_SET_MM) and its mounts.

    :raises OSError: if there is no such process
    """
    with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
        content = b""
        while len(content) < _LONGEST_FACTS and (part := file.read(_LONGEST_FACTS - len(content))):
            content += part
    return content
