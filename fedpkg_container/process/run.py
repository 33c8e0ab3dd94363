"""Programs that are started and waited for: their output when they have ended, or line by line."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
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
from fedpkg_container.signals import ignore_sigint
from fedpkg_container.text import LineSplitter, printable

#: Seconds a program may take to end after SIGTERM.
TERMINATION_GRACE = 3.0

Argument = Union[str, Path]
Environment = Mapping[str, str]


def build_command(arguments: Sequence[Argument], *, outlive: bool) -> list[str]:
    """The command that starts a program.

    :param outlive: whether it is to go on when this process ends
    :raises FedpkgContainerError: it is not installed
    """
    command = [str(argument) for argument in arguments]
    if shutil.which(command[0]) is None:
        raise FedpkgContainerError(f"program not found: {command[0]}", solution=f"install {Path(command[0]).name}")
    if outlive or shutil.which("setpriv") is None:
        return command
    return ["setpriv", "--pdeathsig", "TERM", "--", *command]


def environment(changes: Environment | None) -> dict[str, str]:
    """A copy of this process's environment, in a language that can be read, with changes."""
    return {**os.environ, "LC_ALL": "C.UTF-8", **(changes or {})}


def stop(process: subprocess.Popen[bytes], *, grace: float = TERMINATION_GRACE) -> None:
    """End a program that this process started: SIGTERM, and SIGKILL when it is there ``grace`` seconds later."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=grace)


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    """Close this process's ends of the pipes to a program."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what a program that has ended did not read
                pipe.close()


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


#: Bytes that a program may print altogether where its caller sets no other limit.
OUTPUT_LIMIT = 64 * 10**6
#: Bytes of standard error that are kept: its end.
STDERR_TAIL_BYTES = 64 * 1024
#: Bytes that are read or written at a time.
_PART = 64 * 1024


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
    """Run a program to its end.

    :param timeout: seconds
    :param env: variables added to a copy of the environment
    :param check: raise when the exit status is not 0
    :param tick: called every ``interval`` seconds while the program runs; what it raises ends the program
    :param limit: bytes of standard output and standard error together. Of standard error only the last
        ``ERRORS_KEPT`` bytes are returned
    :raises ProgramError: the program failed
    :raises ProgramOutputError: it printed more than ``limit`` bytes and was stopped
    :raises ProgramTimeoutError: it was still running after ``timeout`` seconds
    """
    process = subprocess.Popen(
        build_command(arguments, outlive=False),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    output = _Output(str(arguments[0]), limit)
    try:
        _communicate(process, stdin or b"", output, time.monotonic() + timeout, tick, interval)
    except DeadlineError:
        stop(process)
        raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from None
    except BaseException:
        stop(process)
        raise
    finally:
        close_pipes(process)
    stdout, stderr = bytes(output.stdout), bytes(output.stderr.content)
    if check and process.returncode != 0:
        said = (stderr or stdout)[-16_000:].decode(errors="replace")
        raise ProgramError(str(arguments[0]), process.returncode, printable(said[-4000:]))
    return Completed(process.returncode, stdout, stderr)


class Tail:
    """The end of what a program printed.

    :param longest: bytes that are kept
    """

    def __init__(self, longest: int = STDERR_TAIL_BYTES) -> None:
        self._longest = longest
        self.content = bytearray()

    def add(self, part: bytes) -> None:
        """Add output; the beginning of what is too long is dropped."""
        self.content += part
        if len(self.content) > self._longest:
            del self.content[: -self._longest]


class _Output:
    """What a program has printed.

    :param program: its name
    :param limit: bytes of both streams together
    """

    def __init__(self, program: str, limit: int) -> None:
        self._program = program
        self._limit = limit
        self._total = 0
        self.stdout = bytearray()
        self.stderr = Tail()

    def add(self, part: bytes, *, error: bool) -> None:
        """Add output of one of its streams.

        :raises ProgramOutputError: it is more than the limit
        """
        self._total += len(part)
        if self._total > self._limit:
            raise ProgramOutputError(self._program, self._limit)
        if error:
            self.stderr.add(part)
        else:
            self.stdout += part


def _communicate(
    process: subprocess.Popen[bytes],
    stdin: bytes,
    output: _Output,
    deadline: float,
    tick: Callable[[], None] | None,
    interval: float,
) -> None:
    """Write to a program and read from it until it has ended and nobody can write to its pipes any more.

    :raises DeadlineError: it was still running at the deadline
    :raises ProgramOutputError: it printed more than it may
    """
    rest = memoryview(stdin)
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
                    rest = _write(key.fd, rest)
                    done = not rest
                else:
                    part = read_chunk(key.fd)
                    done = part == b""
                    output.add(part or b"", error=key.fileobj is process.stderr)
                if done:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]


def _write(descriptor: int, content: memoryview) -> memoryview:
    """Write what a pipe takes now; the rest, which is empty when its reader is gone."""
    try:
        return content[os.write(descriptor, content[:_PART]) :]
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
        build_command(arguments, outlive=False),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        _pump(process, keep, tick, time.monotonic() + timeout, interval)
    except DeadlineError:
        stop(process)
        raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from None
    except BaseException:
        stop(process)
        raise
    finally:
        close_pipes(process)
    tick()
    if process.returncode != 0:
        said = b"\n".join(last).decode(errors="replace")
        raise ProgramError(str(arguments[0]), process.returncode, printable(said))


class DeadlineError(Exception):
    """The time of a program is over."""


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
            chunk = read_chunk(reader) if selector.select(0 if ended else min(interval, 0.2)) else None
            if chunk:
                for each in splitter.add(chunk):
                    line(each)
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
    for each in splitter.flush():
        line(each)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise DeadlineError from None


def read_chunk(descriptor: int) -> bytes | None:
    """What a pipe holds now: nothing at its end, None when there is nothing yet."""
    try:
        return os.read(descriptor, _PART)
    except BlockingIOError:
        return None


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
        with ignore_sigint():
            return subprocess.run(
                [str(each) for each in arguments], cwd=cwd, env=dict(env), timeout=timeout, check=False
            ).returncode
    except subprocess.TimeoutExpired as error:
        raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from error
