# SPDX-License-Identifier: GPL-2.0-or-later
"""The client's programs in processes with preloaded modules: a third of the time of a short command.

A server imports the modules once and forks for each command. The new process has its own arguments, environment,
working directory and descriptors. Each locale has a separate server.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Modules with the function ``main`` of programs, by name.
_PROGRAMS = {
    "fedpkg": "fedpkg_container.cli",
    "fedpkg-container": "fedpkg_container.cli",
    "fedpkg-container-registry": "fedpkg_container.registry_cli",
    "koji": "",  # a script
}
#: Packages whose modules are all loaded, and further modules loaded by short commands.
_PACKAGES = ("commands", "distgit", "hub", "image.resolve", "model", "progress", "registry")
_MODULES = ("koji", "pyrpkg.cli", "git", "requests", "rich.console", "ruamel.yaml", "jsonschema",
            "koji_cli.commands", "fedpkg_container.completion.refresh")  # fmt: skip
#: Variables that an interpreter reads at startup.
_AT_START = ("PYTHON", "LANG", "LC_")


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command and return its output, as ``subprocess.run`` does.

    :raises subprocess.TimeoutExpired: if the command was killed after ``timeout`` seconds
    """
    program = shutil.which(command[0], path=env.get("PATH"))
    if program is None or Path(program).name not in _PROGRAMS or _installed(program) != Path(sys.executable).parent:
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    request = {"argv": [program, *command[1:]], "cwd": str(cwd), "env": dict(env)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        status = _run(_server(_at_start(env)), request, (out.fileno(), err.fileno()), timeout)
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(list(command), status or 0, out.read(), err.read())
    if status is None:
        raise subprocess.TimeoutExpired(list(command), timeout, done.stdout, done.stderr)
    return done


def _installed(program: str) -> Path:
    """Return the directory of a program; of the linked one for a link."""
    return Path(program).resolve().parent


def _at_start(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in env.items() if name.startswith(_AT_START)))


def _run(server: socket.socket, request: Mapping[str, object], outputs: tuple[int, int], timeout: float) -> int | None:
    """Return a command's status; None if it timed out."""
    read, write = os.pipe()
    with open(read, "rb", buffering=0) as answer:
        try:
            data = json.dumps(request).encode("utf-8", "surrogateescape")
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.flush()
                descriptors = array.array("i", [file.fileno(), *outputs, write])
                server.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        finally:
            os.close(write)
        pid = int(answer.read(16))
        if not select.select([answer], [], [], timeout)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return None
        return int(answer.read(16))


@functools.cache
def _server(variables: tuple[tuple[str, str], ...]) -> socket.socket:
    """The connection to the server for these variables; it ends with this process."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(its.fileno())]
    root = Path(__file__).parents[2]
    env = {name: value for name, value in os.environ.items() if not name.startswith(_AT_START)} | dict(variables)
    server = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, cwd=root, env=env)
    its.close()
    atexit.register(_end, ours, server)
    return ours


def _end(connection: socket.socket, server: subprocess.Popen[bytes]) -> None:
    connection.close()
    server.wait(timeout=60)


def _load() -> None:
    """Import the modules of the commands."""
    import fedpkg_container

    for name in _PACKAGES:
        package = importlib.import_module(f"{fedpkg_container.__name__}.{name}")
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(each.name)
    for name in (*_MODULES, *filter(None, _PROGRAMS.values())):
        importlib.import_module(name)


def _serve(connection: socket.socket) -> dict[str, object] | None:
    """Fork for each request: return the request in the new process, and None in the server at its end."""
    while True:
        _, control, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(4 * array.array("i").itemsize))
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not control:
            return None
        descriptors = array.array("i")
        descriptors.frombytes(control[0][2])
        if os.fork() == 0:
            connection.close()
            return _become(*descriptors)
        for each in descriptors:
            os.close(each)


def _become(request: int, out: int, err: int, answer: int) -> dict[str, object]:
    """Return in the program's process; the one that waits for it ends here."""
    pid = os.fork()
    if pid:
        os.write(answer, b"%-16d" % pid)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):  # the client has gone
            os.write(answer, b"%-16d" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.close(answer)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for each in (out, err):
        os.close(each)
    with open(request, "rb") as file:
        file.seek(0)
        found: dict[str, object] = json.loads(file.read().decode("utf-8", "surrogateescape"))
    return found


def _fork_updates() -> None:
    """Have commands fork to update the values for completion, instead of starting an interpreter for it."""
    from fedpkg_container import process
    from fedpkg_container.completion import refresh

    start = process.start

    def forking(command: Sequence[str], **options: Any) -> Any:
        if list(command[1:3]) != ["-m", refresh.__name__]:
            return start(command, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which have nothing left to do
            if os.fork():
                return None
        try:
            os.setsid()
            os.chdir("/")
            null = os.open(os.devnull, os.O_RDWR)
            for each in range(3):
                os.dup2(null, each)
            refresh.main(list(command[3:]))
        finally:
            os._exit(0)

    process.start = forking  # type: ignore[assignment]


def main() -> None:
    """Serve, and run programs in the forked processes."""
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        _load()
        gc.collect()
        gc.freeze()
        request = _serve(connection)
    if request is None:
        return
    argv, environment = request["argv"], request["env"]
    assert isinstance(argv, list)
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(request["cwd"]))
    sys.argv = argv
    sys.path[0] = str(Path(argv[0]).parent)
    _fork_updates()
    if module := _PROGRAMS[Path(argv[0]).name]:
        sys.exit(importlib.import_module(module).main())
    runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
