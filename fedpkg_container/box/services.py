"""The box's servers as processes: started in the background, found again by their pid files, stopped in order."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.process import is_running, start
from fedpkg_container.text import printable

#: Seconds that a service may take until it answers, and until it has ended.
READY_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0


def _started_at(pid: int) -> str:
    """When a process was started, in clock ticks since boot: with its id it names one process for good."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@dataclass(frozen=True)
class Service:
    """One server of a box.

    :param command: how it is started
    :param ready: whether it answers; called until it does
    :param environment: variables for it
    :param umask: of what it makes: for its owner alone, unless others are to read it
    :param backend: the server behind it, which is started before it and stopped after it
    """

    name: str
    command: Sequence[str | Path]
    ready: Callable[[], bool]
    log: Path
    pid_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    umask: int = 0o077
    backend: Service | None = None

    @property
    def pid(self) -> int | None:
        """Its process, when it runs."""
        try:
            number, began = self.pid_file.read_text().split()
            pid = int(number)
            same = is_running(pid) and _started_at(pid) == began
        except (OSError, ValueError):
            return None
        return pid if same else None

    def start(self) -> None:
        """Start it when it does not run; does not wait until it answers."""
        if self.backend is not None:
            self.backend.start()
        if self.pid is not None:
            return
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = start(self.command, log=self.log, env=self.environment, umask=self.umask)
        self.pid_file.write_text(f"{process.pid} {_started_at(process.pid)}")

    def wait_ready(self) -> None:
        """Wait until it answers.

        :raises FedpkgContainerError: it ended, or does not answer in time; with the end of its log
        """
        if self.backend is not None:
            self.backend.wait_ready()
        deadline = time.monotonic() + READY_TIMEOUT
        while not self.ready():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid or -1, os.WNOHANG)
            if self.pid is None or time.monotonic() > deadline:
                said = printable(self.log.read_text(errors="replace")[-2000:])
                raise FedpkgContainerError(
                    f"the {self.name} of the box did not start:\n{said}", solution=f"see {self.log}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End it with SIGTERM, and with SIGKILL when it does not end in time."""
        self.ask_to_stop()
        deadline = time.monotonic() + STOP_TIMEOUT
        while (pid := self.pid) is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)
        if self.backend is not None:
            self.backend.stop()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and do not wait."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
