# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's servers as processes: started in the background, found by their PID files, stopped in order.

A server that should run has a start file beside its PID file, with its command. The supervisor restarts servers that
have a start file and ended nevertheless. Stopping a server removes that file first, under the lock that starting takes:
a stopped server is not restarted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.files import write_atomically
from fedpkg_container.locking import locked
from fedpkg_container.process import process_status, start
from fedpkg_container.text import printable

_log = logging.getLogger(__name__)

#: Timeout for a service to respond and for it to end, seconds.
READY_TIMEOUT = 120.0
STOP_TIMEOUT = 60.0


#: Timeout for the lock of a service, seconds: its holder starts a program meanwhile, without waiting for it.
LOCK_TIMEOUT = 30.0


@dataclass(frozen=True)
class Service:
    """One server of a box.

    :param command: its command line
    :param ready: whether it responds; polled until true
    :param environment: its additional variables
    :param umask: of its files: only for its owner, unless other users must read them
    :param supervised: whether the supervisor restarts it
    :param backend: the server behind it, started before it and stopped after it
    """

    name: str
    command: Sequence[str | Path]
    ready: Callable[[], bool]
    log: Path
    pid_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    umask: int = 0o077
    supervised: bool = True
    backend: Service | None = None

    @classmethod
    def from_start_file(cls, path: Path) -> Service:
        """Load a service from a start file.

        :raises OSError: it has been stopped
        """
        content = json.loads(path.read_text())
        pid_file = path.with_suffix(".pid")
        return cls(
            path.stem,
            content["command"],
            lambda: True,
            Path(content["log"]),
            pid_file,
            content["environment"],
            content["umask"],
        )

    @property
    def start_file(self) -> Path:
        """Contains its command; exists while it should run."""
        return self.pid_file.with_suffix(".json")

    @property
    def last_pid(self) -> int | None:
        """Its current or last process; None if it was never started, or was stopped."""
        try:
            return int(self.pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    @property
    def pid(self) -> int | None:
        """Its process, if running."""
        try:
            number, started = map(int, self.pid_file.read_text().split())
        except (OSError, ValueError):
            return None
        status = process_status(number)
        return number if status is not None and status.is_running and status.started == started else None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.pid_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.pid_file.with_suffix(".lock"), wait=True, timeout=LOCK_TIMEOUT):
            yield

    def start(self) -> None:
        """Start it unless it is running; do not wait for it to respond."""
        if self.backend is not None:
            self.backend.start()
        with self._locked():
            if self.pid is None:
                self._start()
            if self.supervised:
                content = {
                    "command": [str(word) for word in self.command],
                    "log": str(self.log),
                    "environment": dict(self.environment),
                    "umask": self.umask,
                }
                write_atomically(self.start_file, json.dumps(content), mode=0o600)

    def restart(self) -> bool:
        """Start it again if it ended without being stopped; whether it had."""
        with self._locked():
            if self.pid is not None or not self.start_file.exists():
                return False
            self._start()
        return True

    def _start(self) -> None:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = start(self.command, log=self.log, env=self.environment, umask=self.umask)
        status = process_status(process.pid)
        assert status is not None, "a child is there until it is waited for"
        write_atomically(self.pid_file, f"{process.pid} {status.started}", mode=0o600)
        _log.info("started %s (process %d), log: %s", self.name, process.pid, self.log)

    def wait_ready(self) -> None:
        """Wait until it responds.

        :raises FedpkgContainerError: it ended or timed out; includes the end of its log
        """
        if self.backend is not None:
            self.backend.wait_ready()
        deadline = time.monotonic() + READY_TIMEOUT
        while not self.ready():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid or -1, os.WNOHANG)
            if self.pid is None or time.monotonic() > deadline:
                output = printable(self.log.read_text(errors="replace")[-2000:])
                raise FedpkgContainerError(
                    f"the {self.name} of the box did not start:\n{output}", solution=f"see {self.log}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it with SIGTERM, or SIGKILL if that times out."""
        self.ask_to_stop()
        deadline = time.monotonic() + STOP_TIMEOUT
        while (pid := self.pid) is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > deadline:
                _log.warning("%s (process %d) does not end: killing it", self.name, pid)
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)
        if self.backend is not None:
            self.backend.stop()

    def ask_to_stop(self) -> None:
        """Send SIGTERM without waiting."""
        self.release()
        pid = self.pid
        _log.info("stopping %s (process %s)", self.name, pid or "none")
        if pid is not None:
            os.kill(pid, signal.SIGTERM)

    def release(self) -> None:
        """Make the supervisor ignore it, however it ends, until its next start."""
        with self._locked():
            self.start_file.unlink(missing_ok=True)
