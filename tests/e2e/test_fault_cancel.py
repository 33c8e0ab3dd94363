# SPDX-License-Identifier: GPL-2.0-or-later
"""A task that is canceled while RUN runs: every process that it started ends soon, and the NVR is free."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from tests.support.leftovers import eventually, nothing_left, on_machine, processes_of_builds, reserved, staged
from tests.support.packager import Packager
from tests.support.steps import submit, task_processes, wait_for_line
from tests.support.waiting import slowed

pytestmark = pytest.mark.slow

#: pytest's ``record_property``: what was measured goes into the report.
Measured = Callable[[str, object], None]
#: Seconds until nothing is left, from the cancel on, which is before the builder learns of it.
WITHIN = 10.0
#: Seconds for which the programs of a RUN sleep, by which they are identified.
MANY = [str(1100 + number) for number in range(12)]


def _sleeping(box: Box) -> set[str]:
    """For how long the programs of builds sleep."""
    found = set()
    for pid in processes_of_builds(box):
        with contextlib.suppress(OSError):
            found.update(re.findall(r"sleep\0(\d+)\0", Path(f"/proc/{pid}/cmdline").read_text()))
    return found


@pytest.mark.parametrize(
    ("run", "sleeping"),
    [
        ("(trap '' INT TERM HUP; busybox setsid sleep 1001 &) ; echo forked ; sleep 1002", {"1001", "1002"}),
        (
            f"trap '' INT TERM; for n in {' '.join(MANY)}; do sleep $n & done; echo forked; wait; sleep 999",
            set(MANY),
        ),
    ],
    ids=["a daemon", "many that ignore signals"],
)
def test_canceled_while_run_runs(
    packager: Packager, box: Box, run: str, sleeping: set[str], record_property: Measured
) -> None:
    packager.commit(packager.dockerfile(f"RUN {run}", release="1"))
    task_id = submit(packager)
    child = wait_for_line(box, task_id, "\nforked")
    eventually(lambda: sleeping <= _sleeping(box), lambda: _sleeping(box))
    session = box.session(ADMIN)
    began = time.monotonic()
    session.cancelTask(task_id)

    def left() -> list[object]:
        handlers = [*task_processes(box, task_id), *task_processes(box, child)]
        return [*on_machine(box), *staged(box), *reserved(box), *handlers]

    eventually(lambda: not left(), left, seconds=slowed(WITHIN))
    record_property("gone_after", round(time.monotonic() - began, 1))
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    assert koji.BUILD_STATES[build["state"]] in ("CANCELED", "FAILED")
    packager.commit(packager.dockerfile("RUN true", release="1"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(box)
