# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub that is away for a minute: builds continue when it is back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from tests.support.leftovers import eventually, nothing_left
from tests.support.packager import Packager
from tests.support.steps import mark, restart, start_paused, submit, wait_for_line

pytestmark = pytest.mark.slow

#: Seconds that the hub is away.
AWAY = 60.0


@contextmanager
def _away(box: Box) -> Iterator[None]:
    box.hub.stop()
    try:
        yield
        time.sleep(AWAY)
    finally:
        box.hub.start()
        box.hub.wait_ready()


def _assert_built(packager: Packager, task_id: int) -> None:
    session = packager.box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskResult(task_id, raise_fault=False)),
    )
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    assert (build["state"], build["task_id"]) == (koji.BUILD_STATES["COMPLETE"], task_id)
    nothing_left(packager.box)


def test_away_while_run_runs(packager: Packager, box: Box) -> None:
    run = "RUN for n in 1 2 3 4 5 6 7 8 9 10; do echo line $n; sleep 1; done"
    packager.commit(packager.dockerfile(run, release="1"))
    task_id = submit(packager)
    child = wait_for_line(box, task_id, "line 2")
    with _away(box):
        pass
    _assert_built(packager, task_id)
    log = box.session(ADMIN).downloadTaskOutput(child, "x86_64.log").decode().splitlines()
    assert [line for line in log if line.startswith("line ")] == [f"line {n}" for n in range(1, 11)]


@pytest.mark.parametrize("step", ["pulled", "pushed", "published", "uploaded", "imported"])
def test_away_after_a_step(packager: Packager, box: Box, step: str) -> None:
    packager.commit(packager.dockerfile("RUN true", release="1"))
    box.builder("builder-2").stop()
    try:
        start_paused(box, "builder-1", step)
        task_id = submit(packager)
        waits = mark(box, "builder-1", step)
        eventually(waits.exists, lambda: box.layout.log("builder-1").read_text()[-3000:])
        with _away(box):
            waits.unlink()
        _assert_built(packager, task_id)
    finally:
        restart(box)
