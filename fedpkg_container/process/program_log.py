# SPDX-License-Identifier: GPL-2.0-or-later
"""Log of the programs that are started, with their arguments, exit status and duration."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fedpkg_container.redaction import Word, redact_command

_log = logging.getLogger(__name__)


def log_start(process: subprocess.Popen[bytes], arguments: Sequence[Word]) -> None:
    """Log that a program was started.

    :param arguments: its command line
    """
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("process %d: %s", process.pid, redact_command(arguments))


@contextmanager
def logged(process: subprocess.Popen[bytes], arguments: Sequence[Word]) -> Iterator[None]:
    """Log a program's start, and at the end of the block its exit status and duration.

    :param arguments: its command line
    """
    started = time.monotonic()
    log_start(process, arguments)
    try:
        yield
    finally:
        seconds, status = time.monotonic() - started, process.returncode
        _log.debug("process %d (%s): %s after %.2f s", process.pid, _name(arguments), _outcome(status), seconds)


def _name(arguments: Sequence[Word]) -> str:
    return Path(arguments[0]).name


def _outcome(status: int | None) -> str:
    """Return what became of a program: its exit status, or the number of the signal that ended it."""
    if status is None:
        return "still running"
    return f"exit status {status}" if status >= 0 else f"ended by signal {-status}"
