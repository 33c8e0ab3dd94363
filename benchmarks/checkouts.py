# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m benchmarks.checkouts DIRECTORY``: builds by this checkout beside builds by another one, and the ratios.

DIRECTORY is another checkout, of a commit before a change for example, with a virtual environment in ``.venv``
(``make setup`` there). Each checkout runs a box with its own code and interpreter, and both build the images of
``benchmarks.building`` in turn, so that what else the machine does affects both. Images, steps and measurements are
this checkout's in both cases; the other one needs ``fedpkg_container.box`` and ``tests.support`` with the same calls.

For each kind of build it prints the median seconds of each step, of the whole task on the builder, and of processor
time: that of the builder and all processes below it, in user and system mode (where control groups are of
version 1). Processor time varies less on a shared machine. A ratio above 1 means that this checkout takes longer. The
totals are followed by the medians of the ratios of single pairs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.building import LARGE, ORDER, SMALL, TIMEOUT, Measured, Service, Workload, accounted, furnished
from fedpkg_container.box.box import Box
from tests.support.packager import Packager

#: The directory of this checkout.
OWN = Path(__file__).resolve().parents[1]
WORKLOADS = {each.name: each for each in (SMALL, LARGE)}
KINDS = {"scratch": True, "recorded": False}


@dataclass(frozen=True)
class Request:
    """One build.

    :param workload: name of an image
    :param kind: of build, ``scratch`` or ``recorded``
    :param number: makes the image different from the ones before
    """

    workload: str
    kind: str
    number: int


def serve(directory: Path) -> None:
    """Build what standard input requests, one JSON object per line; print the measurements in the same way."""
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # what programs print is not an answer
        with furnished(directory) as box, accounted(box):
            packagers: dict[str, Packager] = {}
            answers.write("ready\n")
            for line in sys.stdin:
                request = Request(**json.loads(line))
                workload = WORKLOADS[request.workload]
                packager = packagers.setdefault(workload.name, _packager(box, directory, workload, packagers))
                note = {"note": f"{request.kind} {request.number}"}
                packager.commit(packager.dockerfile(*workload.steps), files=note)
                measured = Service(box, packager).build(scratch=KINDS[request.kind])
                answers.write(json.dumps(asdict(measured)) + "\n")


def _packager(box: Box, directory: Path, workload: Workload, known: Mapping[str, Packager]) -> Packager:
    if workload.name in known:
        return known[workload.name]
    checkouts = directory / workload.name
    checkouts.mkdir()
    return Packager.make(box, checkouts)


class Side:
    """A checkout that builds, in a process with its code."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def build(self, request: Request) -> Measured:
        """Build, and return what was measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(request)) + "\n")
        self._process.stdin.flush()
        return Measured(**json.loads(self.line()))

    def line(self) -> str:
        """Return the next line that it prints.

        :raises RuntimeError: it has ended
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with status {self._process.wait(timeout=TIMEOUT)}")
        return line


@contextlib.contextmanager
def side(checkout: Path, directory: Path) -> Iterator[Side]:
    """Start a checkout's box.

    :param directory: for the box, must exist
    """
    modules = directory / "modules"
    modules.mkdir()
    (modules / "benchmarks").symlink_to(OWN / "benchmarks")
    command: list[str | Path] = [checkout / ".venv/bin/python", "-m", "benchmarks.checkouts", "--serve", directory]
    if not (checkout / ".venv/bin/python").exists():
        raise SystemExit(f"{checkout} has no virtual environment in .venv: run make setup there")
    environment = {**os.environ, "PYTHONPATH": f"{modules}{os.pathsep}{checkout}"}
    environment["PATH"] = f"{checkout / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        command, cwd=modules, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        started = Side(process)
        started.line()
        yield started  # leaving the block closes standard input, which ends it


def compare(other: Path, runs: Mapping[str, int]) -> Iterator[tuple[str, list[tuple[Measured, Measured]]]]:
    """Build with both checkouts in turn; yield the kind of build, and pairs of the other's and our measurements.

    :param runs: how many builds are counted, by workload; one build more precedes them
    """
    with contextlib.ExitStack() as stack:
        sides = []
        for checkout in (other, OWN):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            sides.append(stack.enter_context(side(checkout, directory)))
        theirs, ours = sides
        for workload, count in runs.items():
            for kind in KINDS:
                pairs = []
                for number in range(count + 1):
                    request = Request(workload, kind, number)
                    first, second = (theirs, ours) if number % 2 else (ours, theirs)  # neither is always the first
                    results = {first: first.build(request), second: second.build(request)}
                    pairs.append((results[theirs], results[ours]))
                    _tell(f"{workload}, {kind} {number}: {pairs[-1][0].seconds:.2f} s, {pairs[-1][1].seconds:.2f} s")
                yield f"{workload}, {kind}", pairs[1:]


def table(name: str, pairs: list[tuple[Measured, Measured]]) -> str:
    """Return the measurements of one kind of build: a line for each step."""
    rows: list[tuple[str, list[float], list[float]]] = [
        (step, [a.parts.get(step, 0.0) for a, _ in pairs], [b.parts.get(step, 0.0) for _, b in pairs]) for step in ORDER
    ]
    rows.append(("all", [a.seconds for a, _ in pairs], [b.seconds for _, b in pairs]))
    rows.append(("processor time", [a.cpu for a, _ in pairs], [b.cpu for _, b in pairs]))
    width = max(len(step) for step, _, _ in rows)
    lines = [f"{name}, medians of {len(pairs)}, seconds", f"{'':{width}}   other    this   ratio   ratio of pairs"]
    for step, theirs, ours in rows:
        a, b = statistics.median(theirs), statistics.median(ours)
        ratio = f"{b / a:7.2f}" if a > 0.005 else f"{'-':>7}"
        of_pairs = ""
        if step in ("all", "processor time"):
            each = [second / first for first, second in zip(theirs, ours) if first]
            of_pairs = f"{statistics.median(each):10.2f} ({min(each):.2f} to {max(each):.2f})" if each else ""
        lines.append(f"{step:{width}} {a:7.2f} {b:7.2f} {ratio}{of_pairs}".rstrip())
    return "\n".join(lines)


def _tell(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkouts", description="compare two checkouts")
    parser.add_argument("directory", type=Path, help="the other checkout, with .venv")
    parser.add_argument(
        "--small", type=int, default=7, metavar="N", help="counted builds of the small image (%(default)s)"
    )
    parser.add_argument(
        "--large", type=int, default=3, metavar="N", help="counted builds of the large image (%(default)s)"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.directory)
        return
    runs = {SMALL.name: arguments.small, LARGE.name: arguments.large}
    for name, pairs in compare(arguments.directory.resolve(), {each: count for each, count in runs.items() if count}):
        print(table(name, pairs), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
