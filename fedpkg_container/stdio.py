"""What a program writes, and whoever reads it may go before the end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable


def run_with_safe_stdio(run: Callable[[], int]) -> int:
    """Run a program; its exit status, which is that of SIGPIPE where its output is no longer read (``| head -1``).

    What a stream's encoding cannot write is replaced.

    :param run: the program
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # nobody is left to be told, not even when Python closes its streams
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return 128 + signal.SIGPIPE
