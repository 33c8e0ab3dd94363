"""Processes of this machine by their ids: which there are, which run, and ending them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fedpkg_container.process.starting import GRACE


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in {"Z", "X"}


def kill_all(pids: Callable[[], Sequence[int]], *, deadline: float = GRACE) -> list[int]:
    """Kill processes (SIGKILL) until none is found, at most for ``deadline`` seconds; returns those left."""
    end = time.monotonic() + deadline
    while left := [pid for pid in pids() if is_running(pid)]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            return left
        time.sleep(0.05)
    return []


def processes() -> Iterator[int]:
    """The ids of all processes of this machine."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield int(entry)
