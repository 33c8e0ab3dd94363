# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs pytest with its temporary files in memory, if there is plenty of it: tests write many small files.

``python -m tests.in_memory PYTEST-OPTIONS…``. The files of a failed run are kept until the next one. A value of
``PYTEST_DEBUG_TEMPROOT``, pytest's variable for the parent of its directories, is respected.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from fedpkg_container.locking import locked

VARIABLE = "PYTEST_DEBUG_TEMPROOT"
#: A file system in memory; a private directory with a random name is made in it.
MEMORY = Path("/dev/shm")
#: Bytes that must be available in it and in memory: several times what the tests of make check write.
SPACE, AVAILABLE = 12 << 30, 16 << 30
_PREFIX = "fedpkg-container-tests-"
#: File that is locked during a run, and seconds after which a run has locked it.
_LOCK, _STARTING = "lock", 60


def is_suitable(directory: Path) -> bool:
    """Return whether the tests can use a directory: it has space, and programs can be started from it.

    Ordinary users cannot delete what their tests leave: it belongs to their subordinate IDs.
    """
    try:
        has_space = shutil.disk_usage(directory).free >= SPACE and _available_memory() >= AVAILABLE
        return os.geteuid() == 0 and has_space and not os.statvfs(directory).f_flag & os.ST_NOEXEC
    except OSError:
        return False


def _available_memory() -> int:
    """Return the available memory in bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) << 10


def remove_old(parent: Path) -> None:
    """Remove the directories of runs that have ended."""
    for path in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime >= _STARTING:
                with locked(path / _LOCK, wait=False):
                    shutil.rmtree(path, ignore_errors=True)


def main() -> int:
    """Run pytest and return its exit status."""
    signal.signal(signal.SIGINT, lambda *_: None)  # pytest handles it
    if VARIABLE in os.environ or not is_suitable(MEMORY):
        return _run_pytest({})
    remove_old(MEMORY)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=MEMORY))
    with locked(directory / _LOCK, wait=True):
        status = _run_pytest({VARIABLE: str(directory)})
        if status == 0:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            sys.stderr.write(f"temporary files of the tests: {directory}\n")
    return status


def _run_pytest(variables: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
