"""The control groups of a build's containers: below one of the build's own, so that they can be found and removed."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
#: Seconds that the last processes of a group may take to end.
TIMEOUT = 3.0


def name(folder: Path) -> str:
    """The group of a build, below the root of every hierarchy.

    :param folder: the build's folder
    """
    return f"fedpkg-container-{folder.name}"


def groups(folder: Path) -> list[Path]:
    """The groups of a build, in all hierarchies, the innermost first."""
    tops = [path / name(folder) for path in (ROOT, *ROOT.glob("*/"))]
    found = [Path(inner) for top in tops for inner, _, _ in os.walk(top)]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def remove(folder: Path) -> list[Path]:
    """Remove the groups of a build whose processes have ended; returns those that could not be removed."""
    deadline = time.monotonic() + TIMEOUT
    while left := groups(folder):
        for path in left:
            with contextlib.suppress(OSError):
                path.rmdir()
        if time.monotonic() > deadline:
            return groups(folder)
        time.sleep(0.005)
    return []
