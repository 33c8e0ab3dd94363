"""Programs that are waited for: their output when they have ended, or line by line as it comes."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import ProgramError, ProgramTimeoutError, UsageError
from fedpkg_container.process.starting import Argument, Environment, argv, environment, stop
from fedpkg_container.signals import left_to_the_program
from fedpkg_container.text import LineSplitter, printable


@dataclass(frozen=True)
class Completed:
    """How a program ended: its exit status and what it printed, as bytes."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode(errors="replace")


def run(
    arguments: Sequence[Argument],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Environment | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    tick: Callable[[], None] | None = None,
    interval: float = 1.0,
) -> Completed:
    """Run a program to its end.

    :param timeout: seconds
    :param env: variables added to a copy of the environment
    :param check: raise when the exit status is not 0
    :param tick: called every ``interval`` seconds while the program runs; what it raises ends the program
    :raises ProgramError: the program failed
    :raises ProgramTimeoutError: it was still running after ``timeout`` seconds
    """
    process = subprocess.Popen(
        argv(arguments, outlive=False),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        stdout, stderr = _communicate(process, stdin, timeout, tick, interval)
    except subprocess.TimeoutExpired:
        stop(process)
        raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from None
    except BaseException:
        stop(process)
        raise
    if check and process.returncode != 0:
        said = (stderr or stdout).decode(errors="replace")
        raise ProgramError(str(arguments[0]), process.returncode, printable(said[-4000:]))
    return Completed(process.returncode, stdout, stderr)


def _communicate(
    process: subprocess.Popen[bytes],
    stdin: bytes | None,
    timeout: float,
    tick: Callable[[], None] | None,
    interval: float,
) -> tuple[bytes, bytes]:
    """What a program printed, when it has ended.

    :raises subprocess.TimeoutExpired: it was still running after ``timeout`` seconds
    """
    deadline = time.monotonic() + timeout
    while tick:
        try:
            return process.communicate(stdin, timeout=min(interval, max(deadline - time.monotonic(), 0.0)))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise
        stdin = None  # it is on its way
        tick()
    return process.communicate(stdin, timeout=timeout)


def stream(
    arguments: Sequence[Argument],
    *,
    line: Callable[[bytes], None],
    tick: Callable[[], None] = lambda: None,
    timeout: float,
    interval: float = 1.0,
    cwd: Path | None = None,
    env: Environment | None = None,
) -> None:
    """Run a program and hand over its output (both streams, merged) line by line as it comes.

    :param line: called with each line, without its newline
    :param tick: called at least every ``interval`` seconds while the program runs, and once at its end
    :param timeout: seconds
    :raises ProgramError: the program failed; carries its last lines
    :raises ProgramTimeoutError: it was still running after ``timeout`` seconds
    """
    last: list[bytes] = []

    def keep(text: bytes) -> None:
        last.append(text)
        del last[:-20]
        line(text)

    process = subprocess.Popen(
        argv(arguments, outlive=False),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        _pump(process, keep, tick, time.monotonic() + timeout, interval)
    except _DeadlineError:
        stop(process)
        raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from None
    except BaseException:
        stop(process)
        raise
    tick()
    if process.returncode != 0:
        said = b"\n".join(last).decode(errors="replace")
        raise ProgramError(str(arguments[0]), process.returncode, printable(said))


class _DeadlineError(Exception):
    pass


def _pump(
    process: subprocess.Popen[bytes],
    line: Callable[[bytes], None],
    tick: Callable[[], None],
    deadline: float,
    interval: float,
) -> None:
    """Read the program's output until it ends.

    The end is that of the program, not of its output: a daemon that it left behind may hold the pipe open.
    """
    assert process.stdout is not None
    reader = process.stdout.fileno()
    os.set_blocking(reader, False)
    splitter = LineSplitter()
    next_tick = time.monotonic() + interval
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            chunk = _read(reader) if selector.select(0 if ended else min(interval, 0.2)) else None
            if chunk:
                for each in splitter.add(chunk):
                    line(each)
            if time.monotonic() >= next_tick:
                tick()
                next_tick = time.monotonic() + interval
            if time.monotonic() > deadline:
                raise _DeadlineError
            if chunk == b"":
                with contextlib.suppress(KeyError):
                    selector.unregister(reader)
                _wait(process, deadline)
                ended = True
            if ended and not chunk:
                break
    for each in splitter.rest():
        line(each)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise _DeadlineError from None


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 64 * 1024)
    except BlockingIOError:
        return b""


def foreground(
    arguments: Sequence[Argument], *, env: Environment, cwd: Path | None = None, timeout: float | None = None
) -> int:
    """Run a program on this terminal, as a person would; its exit status.

    :param env: the whole environment
    :param timeout: seconds; None for programs that end when their user says so
    :raises ProgramTimeoutError: it was still running after ``timeout`` seconds
    """
    if shutil.which(str(arguments[0]), path=env.get("PATH")) is None:
        raise UsageError(f"program not found: {arguments[0]}", solution="check the command after --")
    try:
        with left_to_the_program():
            return subprocess.run(
                [str(each) for each in arguments], cwd=cwd, env=dict(env), timeout=timeout, check=False
            ).returncode
    except subprocess.TimeoutExpired as error:
        raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from error
