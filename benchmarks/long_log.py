# SPDX-License-Identifier: GPL-2.0-or-later
"""A long log: memory and throughput of a client that shows it, and how far behind it falls."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.running import OURS, Client, UnexpectedEndError, running
from benchmarks.stage import Stage
from benchmarks.table import Row

MB = 1_000_000
#: Bytes per second of the log that is followed while it grows.
RATE = 10 * MB
#: Seconds for koji, which requests 16 KiB at a time, and for ours.
KOJI_WINDOW, PATIENCE = 8.0, 120.0
#: A piece of a log.
_LINE = b"STEP 7/12: " + b"x" * 88 + b"\n"
#: Start of a line that contains the time at which it was written.
_STAMP = "written at "


def measure(stage: Stage, size: int) -> Iterator[Row]:
    """Read a log of that many bytes which is there already, and one that grows to it."""
    env = stage.user("log")
    task_id = _task(stage, env)
    with stage.builder.log(task_id).open("wb") as log:
        for _ in range(size // MB):
            log.write(_LINE * (MB // len(_LINE)))
    stage.builder.close(task_id)
    output = stage.directory / "log.out"
    with running(["koji", "watch-logs", str(task_id)], cwd=stage.directory, env=env, output=output) as koji:
        koji_rate, koji_peak = _rate(koji, KOJI_WINDOW), koji.peak
    command = [*OURS, "container-status", "--watch", "--progress", "plain", str(task_id)]
    with running(command, cwd=stage.directory, env=env, output=output) as ours:
        took = ours.end(PATIENCE) - ours.began
        if output.stat().st_size < size * 0.99:
            raise UnexpectedEndError(f"only {output.stat().st_size} of {size} bytes were shown\n{ours.tail()}")
    note = f"{size // MB} MB to a file; koji watch-logs measured over its first {KOJI_WINDOW:g} s, rpkg shows no logs"
    what = "showing a log that is there"
    yield Row(what, koji_rate / MB, size / took / MB, "MB/s", note, against="watch-logs", more_is_better=True)
    yield Row(f"{what}: peak memory", koji_peak / MB, ours.peak / MB, "MB", note, against="watch-logs")
    output.unlink()
    yield from _growing(stage, env, size)


def _growing(stage: Stage, env: dict[str, str], size: int) -> Iterator[Row]:
    """Follow a log while it is written, and compare what is shown with when it was written."""
    task_id, output = _task(stage, env), stage.directory / "growing.out"
    log = stage.builder.log(task_id)
    log.touch()
    command = [*OURS, "container-status", "--watch", "--progress", "plain", str(task_id)]
    with running(command, cwd=stage.directory, env=env, output=output) as ours:
        writer = threading.Thread(target=_write, args=(log, size), daemon=True)
        writer.start()
        delays = list(_delays(output, writer))
        closed = stage.builder.close(task_id)
        ended = ours.end(PATIENCE) - closed
        shown = output.stat().st_size
    if shown < size * 0.99 or not delays:
        raise UnexpectedEndError(f"only {shown} of {size} bytes were shown\n{ours.tail()}")
    quarter = max(len(delays) // 4, 1)
    note = f"{size // MB} MB at {RATE // MB} MB/s, from written to shown; rpkg shows no logs"
    what = "following a log that grows"
    yield Row(f"{what}: delay, first quarter", None, statistics.median(delays[:quarter]), "s", note)
    yield Row(f"{what}: delay, last quarter", None, statistics.median(delays[-quarter:]), "s", note)
    yield Row(f"{what}: task end to exit", None, ended, "s", note)
    yield Row(f"{what}: peak memory", None, ours.peak / MB, "MB", note)


def _write(log: Path, size: int) -> None:
    """Write a log at an even pace, and into it, now and then, what time it is."""
    began, written = time.monotonic(), 0
    with log.open("ab", buffering=0) as file:
        while written < size:
            lines = _LINE * (RATE // 20 // len(_LINE))
            written += file.write(f"{_STAMP}{time.monotonic():.3f}\n".encode() + lines)
            time.sleep(max(began + written / RATE - time.monotonic(), 0))


def _delays(output: Path, writer: threading.Thread) -> Iterator[float]:
    """How long ago the newest time that is shown was written, whenever there is a newer one."""
    with output.open("rb") as file:
        rest = b""
        while writer.is_alive():
            time.sleep(0.02)
            rest += file.read()
            _, found, tail = rest.rpartition(_STAMP.encode())
            if found and b"\n" in tail:
                yield time.monotonic() - float(tail.partition(b"\n")[0])
                rest = b""
            else:
                rest = rest[-200:]


def _task(stage: Stage, env: dict[str, str]) -> int:
    command = [*OURS, "container-build", "--scratch", "--nowait"]
    subprocess.run(command, cwd=stage.checkout, env=env, capture_output=True, timeout=60, check=True)
    stage.quiet()
    return stage.builder.take("log")


def _rate(client: Client, seconds: float) -> float:
    """Bytes per second that a program prints, until it ends or for this number of seconds."""
    while time.monotonic() < client.began + seconds and client.ended is None:
        time.sleep(0.05)
    return client.output.stat().st_size / ((client.ended or time.monotonic()) - client.began)
