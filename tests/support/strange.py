"""Processes whose names are not UTF-8, as old programs and files of other systems have them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: "café" in Latin-1, with what /proc/PID/stat puts around a program's name.
NAME = b"caf\xe9) S 1"


@contextlib.contextmanager
def strange_process(directory: Path) -> Iterator[int]:
    """A process with a command line and a program name that are not UTF-8; its process id.

    :param directory: for the program
    """
    program = os.path.join(os.fsencode(directory), NAME)
    shutil.copy(os.fsencode(shutil.which("sleep") or ""), program)
    with subprocess.Popen([program, b"1000"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()
