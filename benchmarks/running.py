# SPDX-License-Identifier: GPL-2.0-or-later
"""Running clients: how long they take, what they print, and when they end."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

#: Seconds that a program may take that is expected to end soon.
SOON = 60.0

OURS = (str(Path(sys.executable).parent / "fedpkg-container"),)
RPKG = (sys.executable, str(Path(__file__).parent / "rpkg_launcher.py"))


class UnexpectedEndError(Exception):
    """A program did not do what is measured, so its time means nothing."""


def timed(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], status: int = 0, shows: str = ""
) -> tuple[float, str]:
    """Run a program to its end; the seconds that it took, and what it printed.

    :param status: the exit status that it must have
    :param shows: what it must print
    :raises UnexpectedEndError: it ended otherwise
    """
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", timeout=SOON, check=False,
    )  # fmt: skip
    took = time.monotonic() - began
    if done.returncode != status or shows not in done.stdout:
        raise UnexpectedEndError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-2000:]}")
    return took, done.stdout


def alternate(runs: int, *measures: Callable[[], float], quiet: Callable[[], None]) -> list[float]:
    """The median of each, run in turn so that what disturbs the machine disturbs all of them.

    :param runs: of each, after one that is not counted
    :param quiet: waits until nothing that a measure left in the background disturbs the next one
    """

    def one(measure: Callable[[], float]) -> float:
        quiet()
        return measure()

    for measure in measures:
        one(measure)
    rounds = [[one(measure) for measure in measures] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*rounds)]


class Client:
    """A client in the background, its output in a file."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path) -> None:
        self.command = command
        self.output = output
        #: When it ended, by the monotonic clock; None while it runs.
        self.ended: float | None = None
        #: The most memory that it had, bytes.
        self.peak = 0
        self.began = time.monotonic()
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _wait(self) -> None:
        status = Path(f"/proc/{self.process.pid}/status")
        while True:
            with contextlib.suppress(OSError, KeyError):  # when it is ending
                facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
                self.peak = max(self.peak, int(facts["VmHWM"].split()[0]) * 1024)
            try:
                self.process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            self.ended = time.monotonic()
            return

    def end(self, timeout: float) -> float:
        """Wait for its end; the moment, by the monotonic clock.

        :raises UnexpectedEndError: it failed, or did not end in time
        """
        self._waiter.join(timeout=timeout)
        if self.ended is None or self.process.returncode != 0:
            how = "did not end" if self.ended is None else f"exit status {self.process.returncode}"
            raise UnexpectedEndError(f"{' '.join(self.command)}: {how}\n{self.tail()}")
        return self.ended

    def tail(self) -> str:
        """The end of what it printed."""
        return self.output.read_bytes()[-2000:].decode(errors="replace")

    def stop(self) -> None:
        """Kill it if it is still running; its build continues."""
        if self.process.poll() is None:
            self.process.kill()
        self._waiter.join(timeout=SOON)


@contextmanager
def running(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path) -> Iterator[Client]:
    """A client in the background, that ends with the block at the latest."""
    client = Client(command, cwd=cwd, env=env, output=output)
    try:
        yield client
    finally:
        client.stop()
