"""Where a build keeps its layers, and how nothing of it is left behind, however it ended.

Every build has a directory with a store of its own, and reads base images from stores that all builds share. The
directory is locked as long as its build lives: one that no process has locked was left by a build that was killed, and
the next build ends its processes, unmounts what is mounted there, and deletes it.

A build's directory belongs to the task. Its worker owns ``work`` in it, and sees of the rest what it is shown.
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

logger = logging.getLogger(__name__)

#: Seconds for unmounting one folder.
UNMOUNT_TIMEOUT = 30.0
#: Seconds for deleting one.
DELETE_TIMEOUT = 600.0
#: Bytes of a process's environment and mounts that are read: the parts needed are near the beginning of both.
_LONGEST_FACTS = 256 * 1024
#: A byte as mountinfo writes it.
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True)
class WorkerLimits:
    """What everything that a worker runs may use together.

    :param memory: bytes; 0 for no limit
    :param processes: processes and threads; 0 for no limit
    """

    memory: int = field(default_factory=cgroups.half_of_memory)
    processes: int = 4096


@dataclass(frozen=True)
class Workspace:
    """The directory of one build.

    :param folder: the task's own; its worker sees parts of it, read-only
    :param ids: as which the worker runs
    :param groups: control groups in which it runs
    """

    folder: Path
    ids: IdRange
    groups: tuple[Path, ...] = ()

    @property
    def work(self) -> Path:
        """What the worker owns. Others must follow no link there, and open plain files only."""
        return self.folder / "work"

    def prepare(self) -> None:
        """Make what a worker needs."""
        for path in (self.work, *(self.work / name for name in ("graph", "run", "home", "tmp"))):
            path.mkdir(mode=0o700)
            os.lchown(path, self.ids.first, self.ids.first)

    def new(self, name: str) -> Path:
        """Make a directory that the worker owns."""
        path = self.work / name
        path.mkdir(mode=0o755)
        os.lchown(path, self.ids.first, self.ids.first)
        return path

    def give(self, path: Path) -> None:
        """Give a directory with everything in it to the worker: one that this process made."""
        run(["chown", "-R", "-h", f"{self.ids.first}:{self.ids.first}", "--", path], timeout=DELETE_TIMEOUT)


class Workspaces:
    """The directories of builds on one builder.

    :param folder: where they are
    :param account: whose subordinate IDs are used
    :param limits: of each worker
    """

    def __init__(self, folder: Path, *, account: str = ACCOUNT, limits: WorkerLimits | None = None) -> None:
        self.folder = folder
        self.account = account
        self.limits = limits or WorkerLimits()
        self.builds = folder / "builds"
        self.shared = folder / "shared"
        for path in (self.builds, self.shared):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @cached_property
    def ids(self) -> Ids:
        """The subordinate IDs of this machine.

        :raises FedpkgContainerError: there are none; with what to write where
        """
        return read_ids(self.account)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Workspace]:
        """Make a directory, locked; it is cleaned up and deleted at the end.

        :param name: what the build is called; part of the directory's name
        """
        with contextlib.ExitStack() as stack:
            ids = stack.enter_context(self.ids.allocated())
            self.clean_up()  # a build that was killed may have had these IDs, and its processes live for a moment
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
        """Hold off cleaning while a folder is made: until its maker has locked it, it looks like a forgotten one."""
        return locked(self.folder / "builds.lock", wait=True)

    def clean_up(self) -> list[str]:
        """Remove what killed builds left; the names of their folders."""
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
        """Remove a folder; one that resists must not keep the builder from building, and is tried again later."""
        try:
            remove(path)
        except (FedpkgContainerError, OSError) as error:
            logger.warning("%s could not be removed: %s", path, error)
            return False
        return True


def remove(path: Path) -> None:
    """End the processes of a build, unmount what is mounted below its folder, remove its control groups, delete it.

    :raises FedpkgContainerError: something could not be ended or unmounted
    """
    left = kill_all(lambda: processes_in(path), belongs=lambda pid: _belongs(pid, path))
    if left:
        raise FedpkgContainerError(f"processes of {path} could not be ended: {left}")
    for mount in sorted(mounts_below(path), reverse=True):
        run(["umount", "--lazy", mount], timeout=UNMOUNT_TIMEOUT, check=False)
    still = mounts_below(path)
    if still:
        raise FedpkgContainerError(f"{still[0]} could not be unmounted")
    if groups := cgroups.remove(path):
        raise FedpkgContainerError(f"the control group {groups[0]} could not be removed")
    # rm, for folders may be deeper in each other than Python's own function can follow.
    run(["rm", "-rf", "--one-file-system", "--", path], timeout=DELETE_TIMEOUT)


def mounts_below(path: Path, pid: int | str = "self") -> list[str]:
    """Mount points at or below a folder."""
    try:
        points = [os.fsdecode(point) for point, _ in _mounts(pid)]
    except OSError:
        return []
    return [point for point in points if point == str(path) or point.startswith(f"{path}/")]


def _mounts(pid: int | str) -> list[tuple[bytes, bytes]]:
    """The mount point and the whole line of each mount of a process. What others mount need not be named in UTF-8.

    :raises OSError: there is no such process
    """
    lines = [line for line in Path(f"/proc/{pid}/mountinfo").read_bytes().split(b"\n") if line]
    return [(_unescaped(line.split(b" ")[4]), _unescaped(line)) for line in lines]


def _unescaped(text: bytes) -> bytes:
    """A field with the bytes that the kernel writes as three octal digits: spaces and newlines."""
    return _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), text)


def processes_in(path: Path) -> list[int]:
    """Processes whose root file system or working folder is in a build's store, or that were started for it."""
    found = cgroups.processes(path)
    found += [pid for pid in process_ids() if pid != os.getpid() and pid not in found and _belongs(pid, path)]
    return found


def _belongs(pid: int, path: Path) -> bool:
    """Whether a process is in the control group of a build, in its store, or was started for it."""
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
    """The first bytes of what the kernel tells of a process, which may be one of another build.

    A process chooses what it shows as its environment, of any length (prctl(2), PR_SET_MM), and what it mounts.

    :raises OSError: there is no such process
    """
    with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
        content = b""
        while len(content) < _LONGEST_FACTS and (part := file.read(_LONGEST_FACTS - len(content))):
            content += part
    return content
