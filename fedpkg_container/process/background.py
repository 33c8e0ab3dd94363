# SPDX-License-Identifier: GPL-2.0-or-later
"""Background programs, and status and termination of processes by ID."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import ProgramError, ProgramOutputError, ProgramTimeoutError
from fedpkg_container.process.program_log import log_start, logged
from fedpkg_container.process.run import (
    OUTPUT_LIMIT,
    TERMINATION_GRACE,
    Argument,
    Environment,
    Tail,
    build_command,
    environment,
    read_chunk,
    stop,
)
from fedpkg_container.text import printable


@dataclass(frozen=True)
class ProcessStatus:
    """Contents of ``/proc/PID/stat`` (proc(5)).

    :param parent: process ID of the parent
    :param session: session ID, which is the process ID of the session leader
    :param started: start time in clock ticks since boot; together with the process ID it identifies a process
    """

    state: str
    parent: int
    session: int
    started: int

    @property
    def is_running(self) -> bool:
        """Whether the process is not a zombie."""
        return self.state not in {"Z", "X"}


def process_status(pid: int) -> ProcessStatus | None:
    """Return the status of a process; None if it does not exist.

    The file contains the process name, which may hold any bytes, including parentheses and spaces.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return ProcessStatus(fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))
    except (OSError, IndexError):
        return None


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    status = process_status(pid)
    return status is not None and status.is_running


def kill_all(
    pids: Callable[[], Sequence[int]],
    *,
    deadline: float = TERMINATION_GRACE,
    belongs: Callable[[int], bool] = lambda _: True,
) -> list[int]:
    """Kill processes (SIGKILL) until ``pids`` returns none, for at most ``deadline`` seconds; return those left.

    :param belongs: whether a process is still to be killed: its ID may have been reused since it was found. Nothing
        can happen between this answer and the signal
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


def process_ids() -> Iterator[int]:
    """Yield the IDs of all processes of this machine."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield int(entry)


#: Maximum size in bytes of the log, and of any other file, that a background program may write.
LOG_LIMIT = 64 * 10**6
_FILE_LIMIT = ("prlimit", f"--fsize={LOG_LIMIT}", "--")
#: Seconds between two checks whether programs have ended.
_POLL_INTERVAL = 0.05


def start(
    arguments: Sequence[Argument],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Environment | None = None,
    umask: int = -1,
) -> subprocess.Popen[bytes]:
    """Start a server that outlives this process, in a new session; append its output to ``log``.

    :param umask: umask of the server; -1 for that of this process
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            build_command(arguments, outlive=True),
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=umask,
        )
    log_start(process, arguments)
    return process


def start_piped(arguments: Sequence[Argument], *, env: Environment, umask: int = -1) -> subprocess.Popen[bytes]:
    """Start a program in a new session, with its output and its errors in one pipe. The caller reads and ends it.

    :param env: its whole environment
    :param umask: its umask; -1 for that of this process
    """
    process = subprocess.Popen(
        build_command(arguments, outlive=False),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=umask,
    )
    log_start(process, arguments)
    return process


@contextlib.contextmanager
def run_in_background(
    arguments: Sequence[Argument], *, log: Path, env: Environment | None = None, writes_files: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background during the block and then stop it; append its output to ``log``.

    The kernel kills the program if a file that it writes, including the log, exceeds ``LOG_LIMIT`` bytes.

    :param writes_files: the program writes large files: do not limit their size
    """
    bounded = [*_FILE_LIMIT, *arguments] if not writes_files and shutil.which(_FILE_LIMIT[0]) else arguments
    build_command(arguments, outlive=True)  # raise an error if it is not installed
    with log.open("ab") as output:
        process = subprocess.Popen(
            build_command(bounded, outlive=False),
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    with logged(process, arguments):
        try:
            yield process
        finally:
            stop(process)


@contextlib.contextmanager
def pipeline(
    first: Sequence[Argument], second: Sequence[Argument], *, output: Path, env: Environment | None = None
) -> Iterator[Callable[[float], None]]:
    """Run two programs in the background, connected by a pipe; write the output of the second to a file.

    The end of their standard error is kept for error messages; the programs block until it is read.

    :param output: path of the file
    :param env: variables added to a copy of the environment
    :returns: a function that waits for both for at most the given number of seconds, and raises ``ProgramError`` if one
        failed, ``ProgramOutputError`` if their standard error exceeds ``OUTPUT_LIMIT`` and ``ProgramTimeoutError`` if
        one is still running; both are stopped at the end of the block
    """
    commands = [build_command(arguments, outlive=False) for arguments in (first, second)]
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reader)
        os.set_blocking(reader, False)
        with output.open("wb") as target, open(writer, "wb") as messages:
            source = subprocess.Popen(
                commands[0], env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
            )
            stack.enter_context(logged(source, first))
            stack.callback(stop, source)
            assert source.stdout is not None
            with source.stdout as between:
                sink = subprocess.Popen(
                    commands[1], env=environment(env), stdin=between, stdout=target, stderr=messages
                )
            stack.enter_context(logged(sink, second))
            stack.callback(stop, sink)
        both = ((first, source), (second, sink))

        def wait(timeout: float) -> None:
            text = _wait_for(both, reader, timeout)
            for arguments, process in both:
                if process.returncode != 0:
                    raise ProgramError(str(arguments[0]), process.returncode, text)

        yield wait


def _wait_for(both: Sequence[tuple[Sequence[Argument], subprocess.Popen[bytes]]], messages: int, timeout: float) -> str:
    """Wait for both programs; return the end of their standard error.

    :param messages: file descriptor of the pipe that they share for standard error
    :param timeout: seconds
    """
    deadline, printed, tail = time.monotonic() + timeout, 0, Tail()
    with selectors.DefaultSelector() as selector:
        selector.register(messages, selectors.EVENT_READ)
        while True:
            running = [arguments for arguments, process in both if process.poll() is None]
            chunk = read_chunk(messages) if selector.select(_POLL_INTERVAL if running else 0) else None
            if chunk:
                printed += len(chunk)
                tail.add(chunk)
                if printed > OUTPUT_LIMIT:
                    raise ProgramOutputError(str(both[0][0][0]), OUTPUT_LIMIT)
            elif not running:
                return printable(bytes(tail.content).decode(errors="replace")[-4000:])
            elif chunk == b"":  # both have closed their standard error, and one is still running
                time.sleep(_POLL_INTERVAL)
            if time.monotonic() > deadline:
                late = running[0] if running else both[0][0]
                raise ProgramTimeoutError(f"{late[0]} did not end within {timeout:g} s and was stopped")
