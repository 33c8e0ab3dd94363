"""Programs in the background, and processes of this machine by their IDs."""

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


def kill_all(pids: Callable[[], Sequence[int]], *, deadline: float = TERMINATION_GRACE) -> list[int]:
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


def process_ids() -> Iterator[int]:
    """The ids of all processes of this machine."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield int(entry)


#: Bytes of the log, and of any other file, that a program may write that ends with this one.
LOG_LIMIT = 64 * 10**6
_FILE_LIMIT = ("prlimit", f"--fsize={LOG_LIMIT}", "--")
#: Seconds between two looks at whether programs have ended.
_POLL = 0.05


def start(
    arguments: Sequence[Argument],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Environment | None = None,
    umask: int = -1,
) -> subprocess.Popen[bytes]:
    """Start a server that outlives this process, in a session of its own, its output appended to ``log``.

    :param umask: of what it makes; -1 for this process's own
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            build_command(arguments, outlive=True),
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=umask,
        )


@contextlib.contextmanager
def background(
    arguments: Sequence[Argument], *, log: Path, env: Environment | None = None, writes_files: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program beside this one, its output in ``log``, and stop it at the end.

    The kernel ends a program that writes a file, its log included, of more than ``LOG_LIMIT`` bytes.

    :param writes_files: whether it is a program that writes large files: there is no such limit then
    """
    bounded = [*_FILE_LIMIT, *arguments] if not writes_files and shutil.which(_FILE_LIMIT[0]) else arguments
    build_command(arguments, outlive=True)  # that it is installed
    with log.open("ab") as output:
        process = subprocess.Popen(
            build_command(bounded, outlive=False),
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        stop(process)


@contextlib.contextmanager
def pipeline(
    first: Sequence[Argument], second: Sequence[Argument], *, output: Path, env: Environment | None = None
) -> Iterator[Callable[[float], None]]:
    """Run two programs beside this one, the output of the first into the second, and that of the second into a file.

    Of what both print to standard error the end is kept; a program that prints much of it waits until it is read.

    :param output: the file
    :param env: variables added to a copy of the environment
    :returns: a function that waits for both, at most so many seconds, and raises ``ProgramError`` when one failed,
        ``ProgramOutputError`` when their messages are endless and ``ProgramTimeoutError`` when one was still running;
        without it both are stopped at the end
    """
    commands = [build_command(each, outlive=False) for each in (first, second)]
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reader)
        os.set_blocking(reader, False)
        with output.open("wb") as target, open(writer, "wb") as messages:
            source = subprocess.Popen(
                commands[0], env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
            )
            stack.callback(stop, source)
            assert source.stdout is not None
            with source.stdout as between:
                sink = subprocess.Popen(
                    commands[1], env=environment(env), stdin=between, stdout=target, stderr=messages
                )
            stack.callback(stop, sink)
        both = ((first, source), (second, sink))

        def wait(timeout: float) -> None:
            text = _wait_for(both, reader, timeout)
            for arguments, process in both:
                if process.returncode != 0:
                    raise ProgramError(str(arguments[0]), process.returncode, text)

        yield wait


def _wait_for(both: Sequence[tuple[Sequence[Argument], subprocess.Popen[bytes]]], messages: int, timeout: float) -> str:
    """Wait for programs and read their messages; the end of these.

    :param messages: the pipe that they share for standard error
    :param timeout: seconds
    """
    deadline, printed, tail = time.monotonic() + timeout, 0, Tail()
    with selectors.DefaultSelector() as selector:
        selector.register(messages, selectors.EVENT_READ)
        while True:
            running = [arguments for arguments, process in both if process.poll() is None]
            part = read_chunk(messages) if selector.select(_POLL if running else 0) else None
            if part:
                printed += len(part)
                tail.add(part)
                if printed > OUTPUT_LIMIT:
                    raise ProgramOutputError(str(both[0][0][0]), OUTPUT_LIMIT)
            elif not running:
                return printable(bytes(tail.content).decode(errors="replace")[-4000:])
            elif part == b"":  # both have closed their standard error, and one is still running
                time.sleep(_POLL)
            if time.monotonic() > deadline:
                late = running[0] if running else both[0][0]
                raise ProgramTimeoutError(f"{late[0]} did not end within {timeout:g} s and was stopped")
