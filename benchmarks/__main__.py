# SPDX-License-Identifier: GPL-2.0-or-later
"""``make bench``: measure everything, print one table.

``QUICK=1`` leaves out what takes minutes: rpkg's waiting, and most of the log.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import building, completing, ending, long_log, mirroring, promoting, start_up, submitting, watching
from benchmarks.stage import Stage, stage
from benchmarks.table import Row, table

TAIL = """
ratio: above 1 ours is better, below 1 rpkg is. Times are medians of runs in turn; peaks and waits are single runs.
Both run as a person runs them, in fresh processes, with one configuration, against one hub, which is the box's; its
builder is played by the benchmark, but for whole builds, which run on the box's own builder beside buildah alone. Fewer
requests are not all: rpkg's few show a build's end up to a minute late."""


def _measure(where: Stage, *, quick: bool) -> Iterator[Row]:
    runs = 3 if quick else 9
    for title, measure in (("submitting", submitting), ("start-up", start_up), ("completion", completing)):
        _tell(title)
        yield from measure.measure(where, runs)
    _tell("watching and ends")
    logs = watching.Logs()
    timing = watching.Timing(settle=1.0, window=12.0) if quick else watching.Timing()
    with watching.watchers(where, logs, timing, quick=quick) as watchers:
        yield from ending.measure(where, logs, 3.0 if quick else 30.0, quick=quick)
        yield from watchers.rows()
    _tell("long logs")
    yield from long_log.measure(where, (40 if quick else 200) * long_log.MB)


def _tell(title: str) -> None:
    print(f"bench: {title} …", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    began = time.monotonic()
    quick = bool(os.environ.get("QUICK"))
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, stage(Path(directory)) as where:
        rows = list(_measure(where, quick=quick))
    _tell("building")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        built = building.compare(Path(directory), runs=1 if quick else 5)
    _tell("promoting")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        promoted = list(promoting.measure(Path(directory), 1 if quick else 3))
    _tell("mirroring")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        mirrored = list(mirroring.measure(Path(directory), quick=quick))
    print(table([*rows, *built.rows, *promoted, *mirrored]))
    print(f"\nSeconds of each step of a build on the builder:\n\n{building.shown(built)}")
    took = time.monotonic() - began
    print(f"{TAIL}\nPython {platform.python_version()}, {os.cpu_count()} CPUs, {took:.0f} s in all")


if __name__ == "__main__":
    main()
