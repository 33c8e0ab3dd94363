# SPDX-License-Identifier: GPL-2.0-or-later
"""A build on a builder beside ``buildah bud`` and ``buildah push`` of the same Dockerfile, and where the time goes.

The box's own parts do the work: hub, builder, registry. The time of a build is that of its ``buildContainer`` task,
from its start on the builder to its end; what a client adds is measured elsewhere. The base image is there in both
cases. ``benchmarks.checkouts`` compares builds by two checkouts.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.table import Row
from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN, Layout
from fedpkg_container.box.machines import machines
from fedpkg_container.hub.session import log_out
from fedpkg_container.process import run
from tests.support.furnished import furnish, running
from tests.support.packager import Packager

#: Seconds for one build, and between two looks at a log.
TIMEOUT = 300.0
LOOK = 0.01
#: Where control groups of version 1 add up processor time, and what that of a builder is called, by its process ID.
CPU_GROUPS, GROUP = Path("/sys/fs/cgroup/cpuacct"), "bench-{}"
NOTE = "the time of the task on the builder beside buildah bud and buildah push alone"
#: How much longer a build may take than buildah alone: seconds, and a part of what that takes.
ALLOWED, ALLOWED_PART = 2.0, 0.05
#: Words at the start of a line of the log → the step that starts there: of the build, of the arch, and again of the
#: build, which knows by the times of the arch's task when that started and ended.
_BEFORE = {"fetching": "source, parents, reservation"}
_ARCH = {
    "pulling": "base image",
    "building": "buildah",
    "reading": "looking inside",
    "pushing": "push",
    "uploading": "upload",
}
_AFTER = {"publishing": "list, SBOM", "importing": "import, tags"}
STEPS = {**_BEFORE, **_ARCH, **_AFTER}
ARCH_BEGINS, ARCH_ENDS = "source, for the arch", "waking the build's task"
ORDER = ("start", *_BEFORE.values(), ARCH_BEGINS, *_ARCH.values(), ARCH_ENDS, *_AFTER.values())


@dataclass(frozen=True)
class Workload:
    """A Dockerfile that is built.

    :param steps: what follows FROM and the labels
    """

    name: str
    steps: tuple[str, ...]


SMALL = Workload("small image", ("COPY note /note", "RUN echo one > /one", "RUN echo two > /two"))
#: Half of what it writes cannot be packed.
LARGE = Workload(
    "200 MB image",
    (
        "COPY note /note",
        "RUN busybox dd if=/dev/urandom of=/random bs=1M count=100",
        "RUN busybox dd if=/dev/zero of=/zeros bs=1M count=100",
        "RUN busybox sleep 10",
    ),
)


@contextmanager
def furnished(directory: Path, builders: int = 1) -> Iterator[Box]:
    """A box that builds."""
    with running(Box(Layout.open(directory / "box", builders=machines(builders)))) as box:
        furnish(box, directory)
        yield box


class Bare:
    """buildah alone, with a separate store that has the base image."""

    def __init__(self, box: Box, packager: Packager, directory: Path) -> None:
        self._box, self._packager = box, packager
        self._store = [
            "--root",
            str(directory / "graph"),
            "--runroot",
            str(directory / "run"),
            "--storage-driver",
            "overlay",
        ]
        self._tls = ["--cert-dir", str(box.layout.builder(box.layout.builders[0]) / "certs")]
        self._run("pull", "--quiet", *self._tls, packager.base)

    def build(self, number: int) -> float:
        """Build and push; seconds."""
        image, began = f"localhost/bare:{number}", time.monotonic()
        options = ["--quiet", "--format", "docker", "--pull-never", "--isolation", "oci", "--runtime", "runc"]
        self._run("bud", *options, "--network", "none", "-t", image, str(self._packager.checkout))
        target = f"docker://{self._box.layout.registry_address}/bare:{number}"
        self._run("push", "--quiet", "--format", "v2s2", *self._tls, image, target)
        return time.monotonic() - began

    def _run(self, *arguments: str) -> None:
        run(["buildah", *self._store, *arguments], timeout=TIMEOUT)


@dataclass
class Steps:
    """When the steps of a build started, by the lines of its logs on the hub."""

    topdir: Path
    task: int
    began: dict[str, float] = field(default_factory=dict)

    def watch(self, ended: threading.Event) -> None:
        """Record when a step's line appears, until the build has ended."""
        while not ended.wait(LOOK):
            now = time.time()
            for path in self._logs():
                for line in path.read_text(errors="replace").splitlines():
                    step = next((name for words, name in STEPS.items() if line.startswith(words)), "")
                    if step and step not in self.began:
                        self.began[step] = now

    def _logs(self) -> list[Path]:
        """The logs of the task, and of the one of its arch, which comes next."""
        tasks = self.topdir / "work" / "tasks"
        directories = [tasks / str(number % 10000) / str(number) for number in (self.task, self.task + 1)]
        return [path for directory in directories if directory.is_dir() for path in directory.glob("*.log")]

    def parts(self, start: float, end: float) -> dict[str, float]:
        """Seconds of each step; a step lasts until the next one starts."""
        marks = [("start", start), *sorted(self.began.items(), key=lambda mark: mark[1]), ("", end)]
        return {name: after - at for (name, at), (_, after) in zip(marks, marks[1:])}


@dataclass(frozen=True)
class Measured:
    """One build on the builder.

    :param seconds: of its task
    :param cpu: seconds of processor time, of the builder's daemon and all processes below it; 0 where unknown
    :param parts: seconds of each step
    """

    seconds: float
    cpu: float
    parts: dict[str, float]


class Service:
    """Builds through hub and builder."""

    def __init__(self, box: Box, packager: Packager) -> None:
        self._box, self._packager = box, packager
        self.parts: list[dict[str, float]] = []

    def build(self, *, scratch: bool) -> Measured:
        """Build what the checkout holds."""
        used = self._cpu()
        commit = self._packager.run("git", "rev-parse", "HEAD").stdout.strip()
        url = (
            f"git+http://127.0.0.1:{self._box.layout.ports.distgit_anonymous}/container/{self._packager.name}#{commit}"
        )
        session = self._box.session(ADMIN)
        options = {"scratch": scratch, "git_branch": "rawhide"}
        task_id = session.buildContainer(url, "rawhide-container-candidate", options)
        steps, ended = Steps(self._box.layout.topdir, task_id), threading.Event()
        watcher = threading.Thread(target=steps.watch, args=[ended])
        watcher.start()
        try:
            task = wait(session, task_id)
        finally:
            ended.set()
            watcher.join()
        (arch,) = session.getTaskChildren(task_id)
        steps.began.update({ARCH_BEGINS: arch["start_ts"], ARCH_ENDS: arch["completion_ts"]})
        self.parts.append(steps.parts(task["start_ts"], task["completion_ts"]))
        log_out(session)
        return Measured(float(task["completion_ts"] - task["start_ts"]), self._cpu() - used, self.parts[-1])

    def _cpu(self) -> float:
        """Seconds of processor time of the builder, once the processes of its tasks have ended."""
        pid = self._box.builder(self._box.layout.builders[0]).pid
        deadline = time.monotonic() + TIMEOUT
        while Path(f"/proc/{pid}/task/{pid}/children").read_text().split() and time.monotonic() < deadline:
            time.sleep(LOOK)
        usage = CPU_GROUPS / GROUP.format(pid) / "cpuacct.usage"
        return int(usage.read_text()) / 1e9 if usage.exists() else 0.0


@contextmanager
def accounted(box: Box) -> Iterator[None]:
    """Have the kernel add up what a builder and all processes that it starts use: in a control group.

    What it adds up for parents that wait leaves out what bubblewrap runs, which it does not wait for. There is no such
    figure where control groups are version 2 alone: workers are in separate groups there.
    """
    pid = box.builder(box.layout.builders[0]).pid
    group = CPU_GROUPS / GROUP.format(pid)
    if not CPU_GROUPS.is_dir():
        yield
        return
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for each in (group / "cgroup.procs").read_text().split():
            (CPU_GROUPS / "cgroup.procs").write_text(each)
        group.rmdir()


def wait(session: Any, task_id: int) -> dict[str, Any]:
    """Wait for the end of a task; return it."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        task: dict[str, Any] = session.getTaskInfo(task_id)
        if task["state"] == 2:
            return task
        if task["state"] in (3, 5):
            session.getTaskResult(task_id)
        time.sleep(0.2)
    raise TimeoutError(f"task {task_id} has not ended within {TIMEOUT:g} s")


@dataclass(frozen=True)
class Compared:
    """One workload, measured in turn.

    :param parts: seconds of each step of our builds, by what was built
    """

    rows: list[Row]
    parts: dict[str, dict[str, float]]


def compare(directory: Path, *, runs: int) -> Compared:
    """Build small and large images, bare, scratch and recorded, in turn."""
    rows: list[Row] = []
    parts: dict[str, dict[str, float]] = {}
    with furnished(directory) as box:
        for workload in (SMALL, LARGE):
            (directory / workload.name).mkdir()
            packager = Packager.make(box, directory / workload.name)
            bare = Bare(box, packager, directory / workload.name)
            scratch, recorded = Service(box, packager), Service(box, packager)
            times: list[tuple[float, float, float]] = []
            for number in range(runs + 1):
                # Each time something else, so that no layer is in the registry already.
                packager.commit(packager.dockerfile(*workload.steps), files={"note": str(number)})
                alone = bare.build(number)
                times.append((alone, scratch.build(scratch=True).seconds, recorded.build(scratch=False).seconds))
            median_alone, *ours = (statistics.median(each[column] for each in times[1:]) for column in range(3))
            for kind, service, seconds in zip(("scratch", "recorded"), (scratch, recorded), ours):
                rows.append(Row(f"{workload.name}, {kind}", median_alone, seconds, "s", NOTE, against="buildah"))
                parts[rows[-1].what] = _medians(service.parts[1:])
    return Compared(rows, parts)


def _medians(each: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(parts.get(name, 0.0) for parts in each) for name in ORDER}


def shown(compared: Compared) -> str:
    """Where the time goes, as a table: a line for each step, a column for each kind of build."""
    lines: dict[str, list[float]] = {name: [each[name] for each in compared.parts.values()] for name in ORDER}
    alone = [row.theirs or 0.0 for row in compared.rows]
    lines[""] = []
    lines["more than buildah alone"] = [row.ours - each for row, each in zip(compared.rows, alone)]
    lines["the aim: at most"] = [ALLOWED + ALLOWED_PART * each for each in alone]
    width = max(map(len, lines))
    table = ["  ".join([" " * width, *compared.parts])]
    for name, values in lines.items():
        cells = (f"{value:.2f}".rjust(len(kind)) for value, kind in zip(values, compared.parts))
        table.append("  ".join([name.ljust(width), *cells]).rstrip())
    return "\n".join(table)
