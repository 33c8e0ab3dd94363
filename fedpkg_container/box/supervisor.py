# SPDX-License-Identifier: GPL-2.0-or-later
"""Restarts a box's servers and builders that end without being stopped, as systemd does on a site."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container import logs
from fedpkg_container.box.services import Service
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import kill_all, process_ids, process_status

_log = logging.getLogger(__name__)

#: Seconds between two checks of the services.
INTERVAL = 1.0
#: Seconds before a second restart, and the maximum for further ones; doubled each time. A service that ran at least
#: the maximum is restarted at once.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Timeout for processes left by an ended service, seconds: a builder's tasks clean up.
LEFT_TIMEOUT = 30.0
#: Seconds after which a supervisor ends that no PID file names: the file is written just after the start, and is
#: removed with the box.
ORPHANED = 30.0


@dataclass
class _Watched:
    """State of a service.

    :param started: time of its restart; by the same clock as ``ended``
    :param ended: when its end was detected
    :param pause: seconds between its end and its restart
    """

    started: float = float("-inf")
    ended: float | None = None
    pause: float = 0.0


class Supervisor:
    """Watches the services with start files in a directory.

    :param directory: of start files and PID files
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._watched: dict[str, _Watched] = {}

    def look(self) -> None:
        """Restart ended services whose pause is over."""
        _reap()
        for path in sorted(self._directory.glob("*.json")):
            try:
                service = Service.from_start_file(path)
                self._look_at(service, self._watched.setdefault(service.name, _Watched()))
            except FileNotFoundError:
                continue  # stopped meanwhile
            except (FedpkgContainerError, OSError, ValueError, KeyError) as error:
                _log.error("%s cannot be started: %s", path.stem, error)

    def _look_at(self, service: Service, watched: _Watched) -> None:
        if service.pid is not None:
            watched.ended = None
            return
        now = self._clock()
        if watched.ended is None:
            watched.ended = now
            is_stable = now - watched.started >= LONGEST_PAUSE
            watched.pause = 0.0 if is_stable else min(watched.pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
            soon = f" in {watched.pause:g} s" if watched.pause else ""
            _log.warning("%s (process %s) ended; restarting it%s", service.name, service.last_pid, soon)
        since = now - watched.ended
        if since < watched.pause:
            return
        if left := _processes_of(service):
            if since < LEFT_TIMEOUT:
                return
            _log.warning("%s: killing the processes that it left: %s", service.name, left)
            kill_all(lambda: _processes_of(service))
        watched.started, watched.ended = now, None
        service.restart()  # which logs it


def _processes_of(service: Service) -> list[int]:
    """Remaining processes of a service: it was the leader of their session."""
    leader = service.last_pid
    pids = []
    for pid in process_ids() if leader is not None else ():
        status = process_status(pid)
        if status is not None and status.is_running and status.session == leader:
            pids.append(pid)
    return pids


def _reap() -> None:
    """Wait for ended services that this process restarted."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Supervise until SIGTERM, or until the PID file no longer names this process."""
    parser = argparse.ArgumentParser(description="Restarts what ends in a box")
    parser.add_argument("pid_file", type=Path)
    pid_file: Path = parser.parse_args().pid_file
    logs.serve()
    # A restart must finish, to write the PID file: signals end only the loop.
    reader, writer = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(writer, b"x") and None)
    pid_file.with_suffix(".ready").write_text(str(os.getpid()))
    service = Service("supervisor", (), lambda: True, pid_file, pid_file, supervised=False)
    supervisor = Supervisor(pid_file.parent)
    seen = time.monotonic()
    while time.monotonic() - seen < ORPHANED:
        if service.last_pid == os.getpid():
            seen = time.monotonic()
            supervisor.look()
        if select.select([reader], [], [], INTERVAL)[0]:
            break


if __name__ == "__main__":
    main()
