# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes whose names are not UTF-8, e.g. from old programs and files of other systems."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.locking import locked

#: "café" in Latin-1, enclosed as /proc/PID/stat encloses program names.
NAME = b"caf\xe9) S 1"


@contextlib.contextmanager
def strange_names(*, allowed: bool) -> Iterator[None]:
    """Keep tests with such processes, and tests of koji's own daemon, which does not survive them, apart.

    :param allowed: whether there may be such processes now
    """
    path = Path(tempfile.gettempdir(), f"fedpkg-container-strange-{getpass.getuser()}.lock")
    with locked(path, wait=True, shared=allowed, timeout=500):
        yield


@contextlib.contextmanager
def strange_process(directory: Path) -> Iterator[int]:
    """Run a process whose command line and program name are not UTF-8; its process ID.

    :param directory: for the program
    """
    program = os.path.join(os.fsencode(directory), NAME)
    shutil.copy(os.fsencode(shutil.which("sleep") or ""), program)
    with strange_names(allowed=True), subprocess.Popen([program, b"1000"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()
