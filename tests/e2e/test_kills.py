# SPDX-License-Identifier: GPL-2.0-or-later
"""Builders, handlers and hubs that end while RUN runs: nothing stays behind, and the same NVR is built."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from tests.support.leftovers import eventually, nothing_left
from tests.support.packager import Packager
from tests.support.steps import kill_for_good, restart, submit, task_processes, wait_for_line

pytestmark = pytest.mark.slow

FIRST, SECOND = "builder-1", "builder-2"


@pytest.fixture
def only_first(box: Box) -> Iterator[None]:
    """The second builder does not run; afterwards both do."""
    box.builder(SECOND).stop()
    yield
    restart(box)


def _assert_built_by(box: Box, task_id: int, nvr: str, host: str) -> None:
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskDescendents(task_id)),
    )
    assert session.getHost(session.getTaskInfo(task_id)["host_id"])["name"] == host
    build = session.getBuild(nvr)
    assert build["state"] == koji.BUILD_STATES["COMPLETE"]
    assert build["task_id"] == task_id
    nothing_left(box)


@pytest.mark.usefixtures("only_first")
@pytest.mark.parametrize("labels", [{"release": "1"}, {}], ids=["release label", "next release"])
def test_the_daemon_is_killed_while_buildah_runs(packager: Packager, box: Box, labels: dict[str, str]) -> None:
    packager.commit(packager.dockerfile("RUN sleep 15", **labels))
    task_id = submit(packager)
    wait_for_line(box, task_id, "RUN sleep")
    kill_for_good(box.builder(FIRST))
    nothing_left(box)
    box.start_builder(SECOND)
    _assert_built_by(box, task_id, f"{packager.name}-container-1.0-1", SECOND)


@pytest.mark.parametrize("which", ["parent", "child"])
@pytest.mark.parametrize("labels", [{"release": "1"}, {}], ids=["release label", "next release"])
def test_a_handler_is_killed_while_buildah_runs(
    packager: Packager, box: Box, which: str, labels: dict[str, str]
) -> None:
    packager.commit(packager.dockerfile("RUN sleep 8", **labels))
    task_id = submit(packager)
    child = wait_for_line(box, task_id, "RUN sleep")
    victims = task_processes(box, task_id if which == "parent" else child)
    assert victims, "the handler was not found"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskDescendents(task_id)),
    )
    assert session.getBuild(f"{packager.name}-container-1.0-1")["state"] == koji.BUILD_STATES["COMPLETE"]
    nothing_left(box)


def test_a_canceled_build_leaves_nothing_and_frees_its_nvr(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN (sleep 1000 &) ; sleep 1000", release="1"))
    task_id = submit(packager)
    wait_for_line(box, task_id, "RUN (sleep")
    packager.run("koji", "cancel", str(task_id))
    nothing_left(box)
    session = box.session(ADMIN)
    state = session.getBuild(f"{packager.name}-container-1.0-1")["state"]
    assert koji.BUILD_STATES[state] in ("CANCELED", "FAILED")
    packager.commit(packager.dockerfile("RUN true", release="1"))
    assert packager.build().returncode == 0


def test_two_builds_of_one_nvr_at_once(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 3", release="1"))
    first, second = submit(packager), submit(packager)
    session = box.session(ADMIN)
    states = {}

    def ended() -> bool:
        for task_id in (first, second):
            states[task_id] = koji.TASK_STATES[session.getTaskInfo(task_id)["state"]]
        return set(states.values()) <= {"CLOSED", "FAILED"}

    eventually(ended, lambda: states)
    assert sorted(states.values()) == ["CLOSED", "FAILED"]
    loser = next(task_id for task_id, state in states.items() if state == "FAILED")
    fault = session.getTaskResult(loser, raise_fault=False)["faultString"]
    assert re.search(r"is being built by task \d+|another build has just reserved", fault), fault
    nothing_left(box)


def test_the_hub_is_restarted_during_a_build(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 8", release="1"))
    task_id = submit(packager)
    wait_for_line(box, task_id, "RUN sleep")
    box.hub.stop()
    box.hub.start()
    box.hub.wait_ready()
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskResult(task_id, raise_fault=False)),
    )
    nothing_left(box)


def test_a_follower_survives_a_hub_that_goes_away(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n; sleep 1; done"))
    import threading

    def interrupt() -> None:
        box.hub.stop()
        box.hub.start()
        box.hub.wait_ready()

    timer = threading.Timer(6, interrupt)
    timer.start()
    done = packager.build("--scratch")
    timer.join()
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.findall(r"^line (\d+)$", done.stdout, re.MULTILINE)
    assert shown == [str(number) for number in range(1, 13)]


def test_a_log_of_fifty_megabytes_is_followed_to_its_end(packager: Packager) -> None:
    line = "x" * 99
    packager.commit(packager.dockerfile(f"RUN busybox yes {line} | head -n 500000 && echo the end of it"))
    done = packager.build("--scratch")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count(line) == 500000
    assert "\nthe end of it\n" in done.stdout


def test_down_leaves_no_process_mount_or_container(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 1000"))
    task_id = int(packager.build("--scratch", "--nowait").stdout.split()[2])
    wait_for_line(box, task_id, "RUN sleep")
    pids = [service.pid for service in box.services]
    box.down()
    assert [service.pid for service in box.services] == [None] * len(pids)
    from tests.support.leftovers import on_machine

    assert on_machine(box) == []
    box.up()
    session = box.session(ADMIN)
    session.cancelTask(task_id)
    nothing_left(box)
