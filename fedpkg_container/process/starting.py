"""How programs are started and stopped: their arguments, their environment, and the time that they get to end."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from fedpkg_container.errors import FedpkgContainerError

#: Seconds a program may take to end after SIGTERM.
GRACE = 3.0

Argument = Union[str, Path]
Environment = Mapping[str, str]


def argv(arguments: Sequence[Argument], *, outlive: bool) -> list[str]:
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


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    """Close this process's ends of the pipes to a program."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what a program that has ended did not read
                pipe.close()
