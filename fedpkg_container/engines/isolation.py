# SPDX-License-Identifier: GPL-2.0-or-later
"""The OCI runtime for RUN: detection of one that works on this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from fedpkg_container.engines.network import NONE, attached
from fedpkg_container.engines.sandbox import Sandbox
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import FedpkgContainerError, ProgramError, ProgramTimeoutError
from fedpkg_container.process import run

_log = logging.getLogger(__name__)

#: Timeout of one attempt, seconds.
PROBE_TIMEOUT = 60.0
#: OCI runtimes in order of preference.
RUNTIMES = ("runc", "crun")
#: Statically linked programs, which run in an empty image: path and arguments.
_STATIC = (
    ("/usr/bin/busybox", ("true",)),
    ("/bin/busybox", ("true",)),
    ("/usr/sbin/busybox", ("true",)),
    ("/sbin/ldconfig", ("--version",)),
)


@dataclass(frozen=True)
class Isolation:
    """How RUN is isolated: by an OCI runtime, in separate namespaces."""

    runtime: str

    def options(self) -> list[str]:
        """Arguments for buildah."""
        return ["--isolation", "oci", "--runtime", self.runtime]

    def __str__(self) -> str:
        return f"isolated by {self.runtime}"


def choose(workspaces: Workspaces) -> Isolation:
    """Return the isolation that works here; cached until the next reboot.

    :raises FedpkgContainerError: if nothing works
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    remembered = workspaces.directory / "runtime.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        known = json.loads(remembered.read_text())
        if known["boot"] == boot:
            _log.debug("OCI runtime %s, tested since the last reboot", known["runtime"])
            return Isolation(known["runtime"])
    isolation = probe(workspaces)
    remembered.write_text(json.dumps({"boot": boot, **asdict(isolation)}))
    return isolation


def probe(workspaces: Workspaces) -> Isolation:
    """Return the first OCI runtime that can run a program here without a network.

    :raises FedpkgContainerError: if none can; the message has the output of each
    """
    problems = []
    for runtime in RUNTIMES:
        if shutil.which(runtime) is None:
            problems.append(f"{runtime} is not installed")
            continue
        isolation = Isolation(runtime)
        try:
            _attempt(isolation, workspaces)
        except (ProgramError, ProgramTimeoutError) as error:
            problems.append(f"{runtime}: {_cause(error)}")
            _log.info("OCI runtime %s does not work: %s", runtime, problems[-1])
        else:
            _log.info("OCI runtime %s works", runtime)
            return isolation
    missing = all(shutil.which(runtime) is None for runtime in RUNTIMES)
    raise FedpkgContainerError(
        "no OCI runtime can run a container here: " + "; ".join(problems),
        solution="install runc"
        if missing
        else "remove the cause that the runtime names; docs/howto/site.md has known ones",
    )


def _cause(error: ProgramError | ProgramTimeoutError) -> str:
    """Return why an attempt failed: the runtime's message, which buildah prints before its summary."""
    lines = error.output.splitlines() if isinstance(error, ProgramError) else []
    errors = [line for line in lines if "error" in line.lower() and "exit status" not in line]
    return f"{errors[-1].strip()} ({error.reason})" if errors else error.reason


def static_program() -> tuple[str, tuple[str, ...]]:
    """Return a statically linked program of this machine, and arguments with which it succeeds.

    :raises FedpkgContainerError: if there is none
    """
    candidate = next(((path, words) for path, words in _STATIC if Path(path).exists()), None)
    if candidate is None:
        raise FedpkgContainerError("no statically linked program to test with", solution="install busybox")
    return candidate


def _attempt(isolation: Isolation, workspaces: Workspaces) -> None:
    program, arguments = static_program()
    with workspaces.open("probe") as workspace:
        context = workspace.new("context")
        shutil.copy(program, context)
        name_there = f"/{Path(program).name}"  # busybox selects applets by name
        command = ", ".join(f'"{word}"' for word in (name_there, *arguments))
        (context / "Dockerfile").write_text(f"FROM scratch\nCOPY . /\nRUN [{command}]\n")
        work = workspace.work
        store = ["--root", f"{work}/graph", "--runroot", f"{work}/run", "--storage-driver", "overlay"]
        build = ["build", "--quiet", "--network", "host", *isolation.options(), str(context)]
        with attached(NONE, workspace.directory) as network:
            command_line = Sandbox(workspace).command(["buildah", *store, *build])
            run([*network.enter, *command_line], timeout=PROBE_TIMEOUT)
