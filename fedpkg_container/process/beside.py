"""Programs that run beside this one: servers that outlive it, helpers that end with what they are for, pipes."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fedpkg_container.errors import ProgramError, ProgramTimeoutError
from fedpkg_container.process.starting import Argument, Environment, argv, environment, stop
from fedpkg_container.text import printable


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
            argv(arguments, outlive=True),
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
    arguments: Sequence[Argument], *, log: Path, env: Environment | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program beside this one, its output in ``log``, and stop it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv(arguments, outlive=False),
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
    commands = [argv(each, outlive=False) for each in (first, second)]
    with output.open("wb") as target, said.open("wb") as messages:
        source = subprocess.Popen(
            commands[0], env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        )
        sink = subprocess.Popen(commands[1], env=environment(env), stdin=source.stdout, stdout=target, stderr=messages)
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
