# SPDX-License-Identifier: GPL-2.0-or-later
"""Running programs to their end, with their output as a whole or line by line."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from fedpkg_container.errors import (
    FedpkgContainerError,
    ProgramError,
    ProgramOutputError,
    ProgramTimeoutError,
    UsageError,
)
from fedpkg_container.process.program_log import logged
from fedpkg_container.redaction import SIGNING_PASSWORD
from fedpkg_container.signals import ignore_sigint, is_shielded
from fedpkg_container.text import LineSplitter, printable

#: Seconds between SIGTERM and SIGKILL.
TERMINATION_GRACE = 3.0

Argument = Union[str, Path]
Environment = Mapping[str, str]


def build_command(arguments: Sequence[Argument], *, outlive: bool) -> list[str]:
    """Return the command line that starts a program.

    :param outlive: let the program continue when this process ends
    :raises FedpkgContainerError: if the program is not installed
    """
    command = [str(argument) for argument in arguments]
    if shutil.which(command[0]) is None:
        raise FedpkgContainerError(f"program not found: {command[0]}", solution=f"install {Path(command[0]).name}")
    if outlive or shutil.which("setpriv") is None:
        return command
    return ["setpriv", "--pdeathsig", "TERM", "--", *command]


def environment(changes: Environment | None) -> dict[str, str]:
    """Return a copy of the environment with English messages in UTF-8, and with changes; without our own password."""
    inherited = {name: value for name, value in os.environ.items() if name != SIGNING_PASSWORD}
    return {**inherited, "LC_ALL": "C.UTF-8", **(changes or {})}


def stop(process: subprocess.Popen[bytes], *, grace: float = TERMINATION_GRACE) -> None:
    """Stop a child process: SIGTERM, and SIGKILL if it is still running ``grace`` seconds later."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=grace)


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    """Close this process's ends of the pipes to a child process."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # input that the ended program did not read
                pipe.close()


@dataclass(frozen=True)
class Completed:
    """Exit status and output of a program that has ended."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text, with U+FFFD for bytes that are not UTF-8."""
        return self.stdout.decode(errors="replace")


#: Default limit of the output of a program, in bytes.
OUTPUT_LIMIT = 64 * 10**6
#: Bytes of standard error that are kept, from its end.
STDERR_TAIL_BYTES = 64 * 1024
#: Bytes per read or write.
_CHUNK = 64 * 1024


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
    limit: int = OUTPUT_LIMIT,
) -> Completed:
    """Run a program to its end and return its exit status and output.

    :param timeout: seconds
    :param env: variables added to a copy of the environment
    :param check: raise ProgramError if the exit status is not 0
    :param tick: called every ``interval`` seconds while the program runs; an exception that it raises ends the program
    :param limit: maximum of standard output and standard error together, in bytes; only the last
        ``STDERR_TAIL_BYTES`` bytes of standard error are returned
    :raises ProgramError: if the program failed
    :raises ProgramOutputError: if it printed more than ``limit`` bytes and was stopped
    :raises ProgramTimeoutError: if it was still running after ``timeout`` seconds
    """
    process = subprocess.Popen(
        build_command(arguments, outlive=False),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=is_shielded(),
        bufsize=0,
    )
    output = _Output(str(arguments[0]), limit)
    with _stopped_on_error(process, arguments, timeout):
        _communicate(process, stdin or b"", output, time.monotonic() + timeout, tick, interval)
    stdout, stderr = bytes(output.stdout), bytes(output.stderr.content)
    if check and process.returncode != 0:
        message = (stderr or stdout)[-16_000:].decode(errors="replace")
        raise ProgramError(str(arguments[0]), process.returncode, printable(message[-4000:]))
    return Completed(process.returncode, stdout, stderr)


class Tail:
    """The last bytes of a stream.

    :param max_bytes: number of bytes to keep
    """

    def __init__(self, max_bytes: int = STDERR_TAIL_BYTES) -> None:
        self._max_bytes = max_bytes
        self.content = bytearray()

    def add(self, chunk: bytes) -> None:
        """Append output and drop the oldest bytes above the maximum."""
        self.content += chunk
        if len(self.content) > self._max_bytes:
            del self.content[: -self._max_bytes]


class _Output:
    """Collects the output of a program.

    :param program: name of the program, for error messages
    :param limit: maximum of both streams together, in bytes
    """

    def __init__(self, program: str, limit: int) -> None:
        self._program = program
        self._limit = limit
        self._total = 0
        self.stdout = bytearray()
        self.stderr = Tail()

    def add(self, chunk: bytes, *, error: bool) -> None:
        """Append output.

        :param error: the output is from standard error
        :raises ProgramOutputError: if the total exceeds the limit
        """
        self._total += len(chunk)
        if self._total > self._limit:
            raise ProgramOutputError(self._program, self._limit)
        if error:
            self.stderr.add(chunk)
        else:
            self.stdout += chunk


def _communicate(
    process: subprocess.Popen[bytes],
    stdin: bytes,
    output: _Output,
    deadline: float,
    tick: Callable[[], None] | None,
    interval: float,
) -> None:
    """Write to a program and read from it until it has ended and no process holds its pipes open.

    :raises DeadlineError: if it was still running at the deadline
    :raises ProgramOutputError: if it printed more than the limit
    """
    unwritten = memoryview(stdin)
    next_tick = time.monotonic() + interval
    with selectors.DefaultSelector() as selector:
        for pipe, events in (
            (process.stdin, selectors.EVENT_WRITE),
            (process.stdout, selectors.EVENT_READ),
            (process.stderr, selectors.EVENT_READ),
        ):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, events)
        while True:
            now = time.monotonic()
            if now >= deadline:
                raise DeadlineError
            if tick is not None and now >= next_tick:
                tick()
                next_tick = time.monotonic() + interval
            pause = max(min(next_tick if tick is not None else deadline, deadline) - time.monotonic(), 0.0)
            if not selector.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=pause)
                    return
            for key, events in selector.select(pause) if selector.get_map() else ():
                if events & selectors.EVENT_WRITE:
                    unwritten = _write(key.fd, unwritten)
                    done = not unwritten
                else:
                    chunk = read_chunk(key.fd)
                    done = chunk == b""
                    output.add(chunk or b"", error=key.fileobj is process.stderr)
                if done:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]


def _write(descriptor: int, content: memoryview) -> memoryview:
    """Write as much as a pipe accepts now; return the rest, which is empty if the reader has closed the pipe."""
    try:
        return content[os.write(descriptor, content[:_CHUNK]) :]
    except BlockingIOError:
        return content
    except BrokenPipeError:
        return content[:0]


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
    """Run a program and pass its output (both streams, merged) on line by line.

    :param line: called with each line, without the newline
    :param tick: called at least every ``interval`` seconds while the program runs, and once at its end
    :param timeout: seconds
    :raises ProgramError: if the program failed; contains its last lines
    :raises ProgramTimeoutError: if it was still running after ``timeout`` seconds
    """
    last_lines: list[bytes] = []

    def handle_line(text: bytes) -> None:
        last_lines.append(text)
        del last_lines[:-20]
        line(text)

    process = subprocess.Popen(
        build_command(arguments, outlive=False),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=is_shielded(),
    )
    with _stopped_on_error(process, arguments, timeout):
        _pump(process, handle_line, tick, time.monotonic() + timeout, interval)
    tick()
    if process.returncode != 0:
        message = b"\n".join(last_lines).decode(errors="replace")
        raise ProgramError(str(arguments[0]), process.returncode, printable(message))


class DeadlineError(Exception):
    """A program was still running at its deadline."""


@contextlib.contextmanager
def _stopped_on_error(
    process: subprocess.Popen[bytes], arguments: Sequence[Argument], timeout: float
) -> Iterator[None]:
    """Stop a program if the block fails, and close its pipes in any case.

    :raises ProgramTimeoutError: if the block raised ``DeadlineError``
    """
    with logged(process, arguments):
        try:
            yield
        except DeadlineError:
            stop(process)
            raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from None
        except BaseException:
            stop(process)
            raise
        finally:
            close_pipes(process)


def _pump(
    process: subprocess.Popen[bytes],
    line: Callable[[bytes], None],
    tick: Callable[[], None],
    deadline: float,
    interval: float,
) -> None:
    """Read the output of a program until the program ends.

    The end of the output does not count: a daemon that the program left behind may hold the pipe open.
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
            chunk = read_chunk(reader) if selector.select(0 if ended else min(interval, 0.2)) else None
            if chunk:
                for text in splitter.add(chunk):
                    line(text)
            if time.monotonic() >= next_tick:
                tick()
                next_tick = time.monotonic() + interval
            if time.monotonic() > deadline:
                raise DeadlineError
            if chunk == b"":
                with contextlib.suppress(KeyError):
                    selector.unregister(reader)
                _wait(process, deadline)
                ended = True
            if ended and not chunk:
                break
    for text in splitter.flush():
        line(text)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise DeadlineError from None


def read_chunk(descriptor: int) -> bytes | None:
    """Read the bytes that a pipe holds now; return empty bytes at its end and None if no data is available yet."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None


def foreground(
    arguments: Sequence[Argument], *, env: Environment, cwd: Path | None = None, timeout: float | None = None
) -> int:
    """Run an interactive program on this terminal and return its exit status.

    :param env: the complete environment
    :param timeout: seconds; None for programs that run until the user ends them
    :raises UsageError: if the program is not installed
    :raises ProgramTimeoutError: if it was still running after ``timeout`` seconds
    """
    if shutil.which(str(arguments[0]), path=env.get("PATH")) is None:
        raise UsageError(f"program not found: {arguments[0]}", solution="check the command after --")
    try:
        with ignore_sigint():
            process = subprocess.Popen([str(argument) for argument in arguments], cwd=cwd, env=dict(env))
            with logged(process, arguments), _killed_on_error(process):
                return process.wait(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from error


@contextlib.contextmanager
def _killed_on_error(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        process.kill()
        process.wait()
        raise
