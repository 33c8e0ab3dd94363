"""How RUN is kept apart from the builder: which way works on this machine."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from fedpkg_container.engines.network import NONE, attached
from fedpkg_container.engines.sandbox import VARIABLES, Sandbox
from fedpkg_container.errors import FedpkgContainerError, ProgramError, ProgramTimeoutError
from fedpkg_container.process import run

#: Seconds that one attempt may take.
PROBE_TIMEOUT = 60.0
#: OCI runtimes, in the order in which they are tried.
RUNTIMES = ("runc", "crun")
#: Programs that are linked statically, so that an empty image can run them: path and arguments.
_STATIC = (("/usr/bin/busybox", ("true",)), ("/bin/busybox", ("true",)), ("/sbin/ldconfig", ("--version",)))


@dataclass(frozen=True)
class Isolation:
    """One way: ``oci`` with a runtime (own namespaces), or ``chroot``, which protects nothing."""

    kind: str
    runtime: str = ""

    def options(self) -> list[str]:
        """Arguments for buildah."""
        return ["--isolation", self.kind, *(["--runtime", self.runtime] if self.runtime else [])]

    def __str__(self) -> str:
        return f"{self.kind} with {self.runtime}" if self.runtime else self.kind


def choose(folder: Path) -> Isolation:
    """The way that works here: found out once, and remembered in ``folder`` until the machine is started again.

    :raises FedpkgContainerError: none works
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    remembered = folder / "isolation.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        known = json.loads(remembered.read_text())
        if known["boot"] == boot:
            return Isolation(known["kind"], known["runtime"])
    isolation = probe(folder)
    remembered.write_text(json.dumps({"boot": boot, **asdict(isolation)}))
    return isolation


def probe(folder: Path) -> Isolation:
    """The first OCI runtime that can run a program here without a network.

    :param folder: where a store may be made for the attempt
    :raises FedpkgContainerError: none can; what each said is in the message
    """
    said = []
    for runtime in RUNTIMES:
        if shutil.which(runtime) is None:
            said.append(f"{runtime} is not installed")
            continue
        isolation = Isolation("oci", runtime)
        try:
            _attempt(isolation, folder)
        except (ProgramError, ProgramTimeoutError) as error:
            said.append(f"{runtime}: {_cause(error)}")
        else:
            return isolation
    missing = all(shutil.which(runtime) is None for runtime in RUNTIMES)
    raise FedpkgContainerError(
        "no OCI runtime can run a container here: " + "; ".join(said),
        solution="install runc" if missing else "remove the cause that the runtime names; docs/site.md has known ones",
    )


def _cause(error: ProgramError | ProgramTimeoutError) -> str:
    """Why an attempt failed: the runtime's own line, which buildah prints before its summary."""
    lines = error.output.splitlines() if isinstance(error, ProgramError) else []
    own = [line for line in lines if "error" in line.lower() and "exit status" not in line]
    return f"{own[-1].strip()} ({error.reason})" if own else error.reason


def _attempt(isolation: Isolation, folder: Path) -> None:
    program, arguments = next((path, words) for path, words in _STATIC if Path(path).exists())
    with tempfile.TemporaryDirectory(dir=folder, prefix="probe-") as name:
        context = Path(name) / "context"
        context.mkdir()
        shutil.copy(program, context)
        name_there = f"/{Path(program).name}"  # busybox does what its name says
        command = ", ".join(f'"{word}"' for word in (name_there, *arguments))
        (context / "Dockerfile").write_text(f"FROM scratch\nCOPY . /\nRUN [{command}]\n")
        sandbox = Sandbox(
            folder=Path(name),
            readable=[],
            environment={**VARIABLES, "TMPDIR": name},
            resolver="",
            cgroups=isolation.kind == "oci",
        )
        store = ["--root", f"{name}/graph", "--runroot", f"{name}/run", "--storage-driver", "vfs"]
        build = ["build", "--quiet", "--network", "host", *isolation.options(), str(context)]
        with attached(NONE, Path(name)) as network:
            run([*network.enter, *sandbox.command(["buildah", *store, *build])], timeout=PROBE_TIMEOUT)
