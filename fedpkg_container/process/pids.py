"""Processes of this machine by their ids: which there are, which run, and ending them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.process.starting import GRACE


@dataclass(frozen=True)
class ProcessStatus:
    """What ``/proc/PID/stat`` reports.

    :param parent: process id of the parent
    :param session: id of the session, which is the process id of its leader
    :param started: clock ticks since boot; with the process id it identifies a process
    """

    state: str
    parent: int
    session: int
    started: int

    @property
    def is_running(self) -> bool:
        """Whether it is not a zombie."""
        return self.state not in {"Z", "X"}


def process_status(pid: int) -> ProcessStatus | None:
    """The status of a process; None when there is no such process.

    The file holds the name of the program, which a process chooses: any bytes, parentheses and spaces too.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return ProcessStatus(fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))
    except (OSError, IndexError):
        return None


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    status = process_status(pid)
    return status is not None and status.is_running


def kill_all(
    pids: Callable[[], Sequence[int]], *, deadline: float = GRACE, belongs: Callable[[int], bool] = lambda _: True
) -> list[int]:
    """Kill processes (SIGKILL) until none is found, at most for ``deadline`` seconds; returns those left.

    :param belongs: whether a process is still one that is to be killed: its id may have become that of another one
        since it was found. Nothing can come between this answer and the signal
    """
    end = time.monotonic() + deadline
    while left := [pid for pid in pids() if is_running(pid)]:
        for pid in left:
            _kill(pid, belongs)
        if time.monotonic() > end:
            return left
        time.sleep(0.05)
    return []


def _kill(pid: int, belongs: Callable[[int], bool]) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if belongs(pid):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)


def processes() -> Iterator[int]:
    """The ids of all processes of this machine."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield int(entry)
