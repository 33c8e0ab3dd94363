# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder with two builds, one of them compromised."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pty
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.engines.sandbox import Sandbox, Store
from fedpkg_container.engines.workspace import WorkerLimits, Workspace, Workspaces
from fedpkg_container.process import run
from tests.security import intruder
from tests.support.attack import SECRET

#: Name of a key in the session keyring of the process that starts workers.
KEY = "fedpkg-container-test"
#: Abstract socket address on which a process of the builder listens.
ABSTRACT = f"fedpkg-container-security-{os.getpid()}"
#: Limits of the workers of these tests.
LIMITS = WorkerLimits(memory=150_000_000, processes=100)
#: Timeout for all attempts of one worker, on a busy machine, seconds.
TIMEOUT = 200
#: Attempts that leave a process, or use up the worker's memory.
ENDING = ("stay", "much_memory", "much_memory_in_files")
PYTHON = "/usr/bin/python3"


def program_index(command: Sequence[object]) -> int:
    """Return the index of the attacker's program, PYTHON; the sandbox before it may be a program of PYTHON too."""
    return len(command) - 1 - list(reversed(command)).index(PYTHON)


@dataclass(frozen=True)
class Result:
    """An attempt's result.

    :param achieved: what it reached; None if an error stopped it
    :param stopped: the error, e.g. ``EPERM``
    :param reported: number of lines before that
    """

    achieved: str | None = None
    stopped: str = ""
    reported: Any = None


@dataclass
class Intruder:
    """An attacker, root of a worker.

    :param readable: the task's files visible to its worker
    :param other: of another build on the same builder
    :param facts: further knowledge of the attacker
    """

    workspace: Workspace
    stores: Sequence[Store]
    readable: Sequence[Path]
    other: Workspace
    facts: dict[str, Any] = field(default_factory=dict)

    def command(self, names: Sequence[str], enter: Sequence[str] = ("unshare", "--net", "--")) -> list[str | Path]:
        """Return the command that makes some attempts in a worker.

        :param enter: command prefix that selects its network
        """
        config = {
            "secret": SECRET,
            "work": str(self.workspace.work),
            "directory": str(self.workspace.directory),
            "readable": [str(each) for each in (*self.readable, *(store.path for store in self.stores))],
            "own": str(self.workspace.work),
            "other": str(self.other.work),
            "key": KEY,
            "abstract": ABSTRACT,
            "processes": LIMITS.processes,
            "memory": LIMITS.memory,
            **self.facts,
        }
        program = Path(intruder.__file__)
        sandbox = Sandbox(self.workspace, [*self.readable, program], stores=self.stores)
        return [*enter, *sandbox.command([PYTHON, "-I", "-S", program, json.dumps(config), *names])]

    def attempt(self, *names: str, enter: Sequence[str] = ("unshare", "--net", "--")) -> dict[str, Result]:
        """Make some attempts."""
        done = run(self.command(names, enter), timeout=TIMEOUT)
        answers = json.loads(done.text)
        broken = {name: answer["broken"] for name, answer in answers.items() if "broken" in answer}
        assert not broken
        return {name: Result(**answer) for name, answer in answers.items()}


@pytest.fixture(scope="package")
def secrets() -> Iterator[None]:
    """Secrets of the process that starts workers: variables, keys, a socket, open files."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("KOJI_PASSWORD", "SSH_AUTH_SOCK", "KRB5CCNAME"):
            patch.setenv(name, f"/{SECRET}")
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(f"\0{ABSTRACT}")
        listener.listen(16)
        read, write = os.pipe()
        for descriptor in (read, write, listener.fileno()):
            os.set_inheritable(descriptor, True)
        stack.callback(os.close, read)
        stack.callback(os.close, write)
        add_key()
        yield


def add_key() -> bool:
    """Add a key to this process's session keyring; return whether it is readable."""
    libc = ctypes.CDLL(None, use_errno=True)
    keyctl, add = {"x86_64": (250, 248), "aarch64": (219, 217)}.get(os.uname().machine, (-1, -1))
    libc.syscall(keyctl, 1, KEY.encode())  # join a new session keyring
    return bool(libc.syscall(add, b"user", KEY.encode(), SECRET.encode(), len(SECRET), -3) > 0)


@pytest.fixture(scope="package")
def victim_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the builder."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture(scope="package")
def intruding(
    tmp_path_factory: pytest.TempPathFactory, secrets: None, victim_process: subprocess.Popen[bytes]
) -> Iterator[Intruder]:
    """A compromised build, beside another one, on a builder with a base image."""
    directory = tmp_path_factory.mktemp("intruded")
    directory.chmod(0o755)
    secret = directory / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o644)  # its mode must not protect it
    workspaces = Workspaces(directory / "state", limits=LIMITS)
    with workspaces.open("taken") as own, workspaces.open("other") as other:
        (other.work / "result").write_text(f"{SECRET}\n")
        hooks = own.directory / "hooks"
        hooks.mkdir()
        (hooks / "after-run.json").write_text("{}")
        files = {"storage.conf": "[storage]\n", "Dockerfile": "FROM scratch\n", "request.json": "{}"}
        for name, text in files.items():
            (own.directory / name).write_text(text)
        graph = workspaces.shared / "images" / "base" / "work" / "graph"
        graph.mkdir(parents=True)
        (graph / "layer").write_text("of a base image\n")
        for path in (graph, graph / "layer"):
            os.chown(path, workspaces.ids.base.first, workspaces.ids.base.first)
        readable = [hooks, *(own.directory / name for name in files)]
        facts = {"file": str(secret), "pid": victim_process.pid, "addresses": ["127.0.0.1"], "port": 9}
        yield Intruder(own, [Store(graph, workspaces.ids.base)], readable, other, facts)


@pytest.fixture(scope="package")
def seen(intruding: Intruder) -> dict[str, Result]:
    """The result of each attempt that leaves nothing, and does not end the worker."""
    return intruding.attempt(*(name for name in intruder.ATTEMPTS if name not in ENDING))


def in_terminal(command: Sequence[str | Path]) -> str:
    """Run a command in a session with a new terminal; return its output."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execvp(str(command[0]), [str(each) for each in command])  # noqa: S606
        finally:
            os._exit(127)
    said = b""
    with contextlib.suppress(OSError):  # the terminal was closed
        while chunk := os.read(terminal, 4096):
            said += chunk
    os.close(terminal)
    os.waitpid(pid, 0)
    return said.decode(errors="replace")
