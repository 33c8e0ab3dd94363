"""A task that is canceled while RUN runs: every process that it started ends soon, and the NVR is free."""

from __future__ import annotations

import time
from collections.abc import Callable

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from tests.support.leftovers import eventually, nothing_left, on_machine, reserved, staged
from tests.support.packager import Packager
from tests.support.steps import submit, task_processes, wait_for_line

pytestmark = pytest.mark.slow

#: pytest's ``record_property``: what was measured goes into the report.
Measured = Callable[[str, object], None]
#: Seconds until nothing is left, from the cancel on, which is before the builder learns of it.
WITHIN = 10.0


@pytest.mark.parametrize(
    "run",
    [
        "(trap '' INT TERM HUP; setsid sleep 1001 &) ; echo forked ; sleep 1002",
        "trap '' INT TERM; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 100$n & done; echo forked; wait; sleep 999",
    ],
    ids=["a daemon", "many that ignore signals"],
)
def test_canceled_while_run_runs(packager: Packager, box: Box, run: str, record_property: Measured) -> None:
    packager.commit(packager.dockerfile(f"RUN {run}", release="1"))
    task_id = submit(packager)
    child = wait_for_line(box, task_id, "\nforked", seconds=120)
    session = box.session(ADMIN)
    began = time.monotonic()
    session.cancelTask(task_id)

    def left() -> list[object]:
        handlers = [*task_processes(box, task_id), *task_processes(box, child)]
        return [*on_machine(box), *staged(box), *reserved(box), *handlers]

    eventually(lambda: not left(), left, seconds=WITHIN)
    record_property("gone_after", round(time.monotonic() - began, 1))
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    assert koji.BUILD_STATES[build["state"]] in ("CANCELED", "FAILED")
    packager.commit(packager.dockerfile("RUN true", release="1"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(box)
