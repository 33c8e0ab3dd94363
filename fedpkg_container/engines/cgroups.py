# SPDX-License-Identifier: GPL-2.0-or-later
"""The control group of a worker: common memory and process limits of all its processes."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from fedpkg_container.engines.ids import in_user_namespace

_log = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
#: Time for the last processes of a group to end, seconds.
TIMEOUT = 3.0
#: Files of the limits: version 1 has a hierarchy per controller, version 2 a single one.
_FILES_1 = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}
_FILES_2 = {"memory": "memory.max", "pids": "pids.max"}


def name(directory: Path) -> str:
    """Return the name of a build's group, below the root of a hierarchy.

    :param directory: the build's directory
    """
    return f"fedpkg-container-{directory.name}"


def create(directory: Path, *, memory: int, processes: int) -> tuple[Path, ...]:
    """Create the groups of a build; return their directories.

    Empty where control groups cannot be created (in a user namespace, in containers); this is logged.

    :param memory: bytes; 0 for no limit
    :param processes: processes and threads; 0 for no limit
    """
    if in_user_namespace():
        return ()
    limits = {"memory": memory, "pids": processes}
    version_2 = (ROOT / "cgroup.controllers").exists()
    group = name(directory)
    created: list[Path] = []
    try:
        if version_2:
            created.append(ROOT / group)
            created[0].mkdir()
            with contextlib.suppress(OSError):  # already enabled, e.g. by systemd
                (ROOT / "cgroup.subtree_control").write_text("+memory +pids")
        for controller, limit in limits.items():
            if not version_2:
                created.append(ROOT / controller / group)
                created[-1].mkdir()
            if limit:
                (created[-1] / (_FILES_2 if version_2 else _FILES_1)[controller]).write_text(str(limit))
    except OSError as error:
        _log.warning("no memory and process limits for %s: %s", directory.name, error)
    return tuple(path for path in created if path.is_dir())


def half_of_memory() -> int:
    """Return half of this machine's memory, in bytes: the default memory limit of a worker."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def out_of_memory(paths: Iterable[Path]) -> bool:
    """Return whether the kernel killed a process of these groups for exceeding the memory limit."""
    for path in paths:
        for file in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                if match := re.search("^oom_kill ([0-9]+)$", (path / file).read_text(), re.MULTILINE):
                    return int(match[1]) > 0
    return False


def groups(directory: Path) -> list[Path]:
    """Return the groups of a build, in all hierarchies, the innermost first."""
    tops = [path / name(directory) for path in (ROOT, *ROOT.glob("*/"))]
    paths = [Path(inner) for top in tops for inner, _, _ in os.walk(top)]
    return sorted(paths, key=lambda path: len(path.parts), reverse=True)


def processes(directory: Path) -> list[int]:
    """Return the processes in the groups of a build."""
    pids: set[int] = set()
    for group in groups(directory):
        with contextlib.suppress(OSError):
            pids.update(map(int, (group / "cgroup.procs").read_text().split()))
    return sorted(pids)


def remove(directory: Path) -> list[Path]:
    """Remove the groups of a build whose processes have ended; return those that could not be removed."""
    deadline = time.monotonic() + TIMEOUT
    while left := groups(directory):
        for path in left:
            with contextlib.suppress(OSError):
                path.rmdir()
        if time.monotonic() > deadline:
            return groups(directory)
        time.sleep(0.005)
    return []
