# SPDX-License-Identifier: GPL-2.0-or-later
"""The end: how long after the end of a task its client ends."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.running import OURS, RPKG, Client, running
from benchmarks.stage import Stage
from benchmarks.table import Row
from benchmarks.watching import READS_NO_LOGS, Logs

#: Seconds that a client may take to notice: rpkg polls every 60.
PATIENCE = 90.0
#: Seconds between the ends of our runs, so that these fall on different moments of a tick.
STAGGER = 1.3


def measure(stage: Stage, logs: Logs, after: float, *, quick: bool) -> Iterator[Row]:
    """Follow builds to their end.

    :param after: how many seconds a build takes
    :param quick: leave out rpkg
    """
    with ExitStack() as stack:

        def follow(user: str, program: tuple[str, ...], *, growing: bool = False) -> tuple[Client, int]:
            env, output = stage.user(user), stage.directory / f"{user}.out"
            command = [*program, "container-build", "--scratch"]
            client = stack.enter_context(running(command, cwd=stage.checkout, env=env, output=output))
            task_id = stage.builder.take(user)
            if growing:
                logs.grow(stage.builder.log(task_id))
            return client, task_id

        theirs = [] if quick else [follow("end-rpkg", RPKG)]
        still = [follow(f"end-still-{number}", OURS) for number in range(3)]
        growing = [follow(f"end-growing-{number}", OURS, growing=True) for number in range(3)]

        everybody = [*theirs, *still, *growing]
        closed = []
        for number, (_, task_id) in enumerate(everybody):
            time.sleep(max(everybody[0][0].began + after + number * STAGGER - time.monotonic(), 0))
            logs.rest(stage.builder.log(task_id))
            closed.append(stage.builder.close(task_id))
        delays = [client.end(PATIENCE) - moment for (client, _), moment in zip(everybody, closed)]
    rpkg = delays.pop(0) if theirs else None
    note = f"builds of {after:g} s; one run of rpkg is enough: it looks every 60 s, so it is 0 to 60 s late"
    yield Row("task end to exit, nothing happening", rpkg, statistics.median(delays[:3]), "s", note)
    yield Row("task end to exit, a log growing", rpkg, statistics.median(delays[3:]), "s", READS_NO_LOGS)
