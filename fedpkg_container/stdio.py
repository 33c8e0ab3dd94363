# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard streams of programs: encoding errors and closed pipes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable


def run_with_safe_stdio(run: Callable[[], int]) -> int:
    """Run a program and return its exit status, or that of SIGPIPE if its output is closed early (``| head -1``).

    Characters that the encoding of a stream does not have are replaced.

    :param run: the program, which returns its exit status
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # keep Python from reporting the error again when it closes the streams
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(null, stream.fileno())
        return 128 + signal.SIGPIPE
