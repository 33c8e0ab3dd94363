"""The only place that starts programs.

Programs get a list of arguments (never a shell), a copied environment, no standard input unless it is given,
and a deadline. They are stopped with SIGTERM, so that they can clean up, and with SIGKILL when that does not
help. They die with the process that started them (``setpriv --pdeathsig``), so a killed builder leaves none.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from fedpkg_container.errors import FedpkgContainerError, ProgramError, ProgramTimeoutError, UsageError
from fedpkg_container.signals import left_to_the_program
from fedpkg_container.text import LineSplitter, printable

#: Seconds a program may take to end after SIGTERM.
GRACE = 3.0

Argument = Union[str, Path]
Environment = Mapping[str, str]


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


def _argv(arguments: Sequence[Argument], *, outlive: bool) -> list[str]:
    argv = [str(argument) for argument in arguments]
    if shutil.which(argv[0]) is None:
        raise FedpkgContainerError(f"program not found: {argv[0]}", solution=f"install {Path(argv[0]).name}")
    if outlive or shutil.which("setpriv") is None:
        return argv
    return ["setpriv", "--pdeathsig", "TERM", "--", *argv]


def _environment(changes: Environment | None) -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", **(changes or {})}


def run(
    arguments: Sequence[Argument],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Environment | None = None,
    stdin: bytes | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end.

    :param timeout: seconds
    :param env: variables added to a copy of the environment
    :param check: raise when the exit status is not 0
    :raises ProgramError: the program failed
    :raises ProgramTimeoutError: it was still running after ``timeout`` seconds
    """
    process = subprocess.Popen(
        _argv(arguments, outlive=False),
        cwd=cwd,
        env=_environment(env),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
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
        _argv(arguments, outlive=False),
        cwd=cwd,
        env=_environment(env),
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
            _argv(arguments, outlive=True),
            cwd=cwd,
            env=_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=umask,
        )


@contextlib.contextmanager
def background(
    arguments: Sequence[Argument], *, log: Path, env: Environment | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program beside this one, its output in ``log``, and stop it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            _argv(arguments, outlive=False),
            env=_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        stop(process)


@contextlib.contextmanager
def piped(
    first: Sequence[Argument], second: Sequence[Argument], *, output: Path, env: Environment | None = None
) -> Iterator[Callable[[float], None]]:
    """Run two programs beside this one, the output of the first into the second, and that of the second into a file.

    :param output: the file; what both say besides is written beside it, and removed when they end well
    :param env: variables added to a copy of the environment
    :returns: a function that waits for both, at most so many seconds, and raises ``ProgramError`` when one failed and
        ``ProgramTimeoutError`` when one was still running; without it both are stopped at the end
    """
    said = output.with_name(f"{output.name}.said")
    commands = [_argv(each, outlive=False) for each in (first, second)]
    with output.open("wb") as target, said.open("wb") as messages:
        source = subprocess.Popen(
            commands[0], env=_environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        )
        sink = subprocess.Popen(commands[1], env=_environment(env), stdin=source.stdout, stdout=target, stderr=messages)
        assert source.stdout is not None
        source.stdout.close()
    both = ((first, source), (second, sink))

    def wait(timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for arguments, process in both:
            try:
                process.wait(timeout=max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                raise ProgramTimeoutError(f"{arguments[0]} did not end within {timeout:g} s and was stopped") from None
        for arguments, process in both:
            if process.returncode != 0:
                text = printable(said.read_text(errors="replace")[-4000:])
                raise ProgramError(str(arguments[0]), process.returncode, text)
        said.unlink()

    try:
        yield wait
    finally:
        for _, process in both:
            stop(process)


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


def stop(process: subprocess.Popen[bytes], *, grace: float = GRACE) -> None:
    """End a program that this process started: SIGTERM, and SIGKILL when it is there ``grace`` seconds later."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=grace)


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in {"Z", "X"}


def kill_all(pids: Callable[[], Sequence[int]], *, deadline: float = GRACE) -> list[int]:
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


def processes() -> Iterator[int]:
    """The ids of all processes of this machine."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield int(entry)
