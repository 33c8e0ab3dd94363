"""Builders and handlers killed at every step: nothing stays behind, and another builder builds the same NVR."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.services import Service
from fedpkg_container.process import processes
from tests.support.leftovers import eventually, nothing_left
from tests.support.packager import Packager

pytestmark = pytest.mark.slow

FIRST, SECOND = "builder-1", "builder-2"


@pytest.fixture
def only_first(box: Box) -> Iterator[None]:
    """The second builder does not run; afterwards both do."""
    box.builder(SECOND).stop()
    yield
    for name in (FIRST, SECOND):
        box.builder(name).stop()
        box.start_builder(name)


def _restart(box: Box, pause_at: str) -> Service:
    """The first builder, which stops at a step of a build and waits."""
    service = box.builder(FIRST)
    service.stop()
    (box.layout.builder(FIRST) / "ready").unlink(missing_ok=True)
    _mark(box, pause_at).unlink(missing_ok=True)
    paused = replace(service, command=[*service.command, "--pause-at", pause_at])
    paused.start()
    eventually(paused.ready, lambda: paused.log.read_text()[-2000:])
    return paused


def _mark(box: Box, step: str) -> Path:
    return box.layout.builder(FIRST) / f"paused-{step}"


def _submit(packager: Packager) -> int:
    done = packager.build("--nowait")
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[2])


def _assert_built_by(box: Box, task_id: int, nvr: str, host: str) -> None:
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskDescendents(task_id)),
        seconds=90,
    )
    assert session.getHost(session.getTaskInfo(task_id)["host_id"])["name"] == host
    build = session.getBuild(nvr)
    assert build["state"] == koji.BUILD_STATES["COMPLETE"]
    assert build["task_id"] == task_id
    nothing_left(box)


def _task_processes(box: Box, task_id: int) -> list[int]:
    """The processes of a task's handler: those that work in its folder of the builder."""
    found = []
    for pid in processes():
        try:
            open_files = [os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if any(re.search(rf"/work/tasks/\d+/{task_id}/[a-z0-9_-]+\.log$", path) for path in open_files):
            found.append(pid)
    return found


@pytest.mark.parametrize("step", ["reserved", "built", "published", "documented", "uploaded", "imported"])
@pytest.mark.usefixtures("only_first")
def test_the_daemon_is_killed_after_a_step(packager: Packager, box: Box, step: str) -> None:
    packager.commit(packager.dockerfile("RUN true", release="1"))
    paused = _restart(box, step)
    task_id = _submit(packager)
    eventually(_mark(box, step).exists, lambda: paused.log.read_text()[-3000:], seconds=60)
    os.kill(paused.pid or 0, signal.SIGKILL)
    nothing_left(box)
    box.start_builder(SECOND)
    _assert_built_by(box, task_id, f"{packager.name}-container-1.0-1", SECOND)


@pytest.mark.usefixtures("only_first")
@pytest.mark.parametrize("labels", [{"release": "1"}, {}], ids=["release label", "next release"])
def test_the_daemon_is_killed_while_buildah_runs(packager: Packager, box: Box, labels: dict[str, str]) -> None:
    packager.commit(packager.dockerfile("RUN sleep 15", **labels))
    task_id = _submit(packager)
    _wait_for_line(box, task_id, "RUN sleep")
    os.kill(box.builder(FIRST).pid or 0, signal.SIGKILL)
    nothing_left(box)
    box.start_builder(SECOND)
    _assert_built_by(box, task_id, f"{packager.name}-container-1.0-1", SECOND)


@pytest.mark.parametrize("which", ["parent", "child"])
@pytest.mark.parametrize("labels", [{"release": "1"}, {}], ids=["release label", "next release"])
def test_a_handler_is_killed_while_buildah_runs(
    packager: Packager, box: Box, which: str, labels: dict[str, str]
) -> None:
    packager.commit(packager.dockerfile("RUN sleep 8", **labels))
    task_id = _submit(packager)
    child = _wait_for_line(box, task_id, "RUN sleep")
    victims = _task_processes(box, task_id if which == "parent" else child)
    assert victims, "the handler was not found"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskDescendents(task_id)),
        seconds=90,
    )
    assert session.getBuild(f"{packager.name}-container-1.0-1")["state"] == koji.BUILD_STATES["COMPLETE"]
    nothing_left(box)


def _wait_for_line(box: Box, task_id: int, text: str) -> int:
    """Wait until the log of the first arch has a line; the task of that arch."""
    session = box.session(ADMIN)
    found: list[int] = []

    def shows() -> bool:
        for child in session.getTaskChildren(task_id):
            logs = session.listTaskOutput(child["id"])
            if "x86_64.log" in logs and text in session.downloadTaskOutput(child["id"], "x86_64.log").decode():
                found.append(child["id"])
                return True
        return False

    eventually(shows, lambda: session.getTaskDescendents(task_id), seconds=60)
    return found[0]


def test_a_canceled_build_leaves_nothing_and_frees_its_nvr(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN (sleep 1000 &) ; sleep 1000", release="1"))
    task_id = _submit(packager)
    _wait_for_line(box, task_id, "RUN (sleep")
    packager.run("koji", "cancel", str(task_id))
    nothing_left(box)
    session = box.session(ADMIN)
    state = session.getBuild(f"{packager.name}-container-1.0-1")["state"]
    assert koji.BUILD_STATES[state] in ("CANCELED", "FAILED")
    packager.commit(packager.dockerfile("RUN true", release="1"))
    assert packager.build().returncode == 0


def test_two_builds_of_one_nvr_at_once(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 3", release="1"))
    first, second = _submit(packager), _submit(packager)
    session = box.session(ADMIN)
    states = {}

    def ended() -> bool:
        for task_id in (first, second):
            states[task_id] = koji.TASK_STATES[session.getTaskInfo(task_id)["state"]]
        return set(states.values()) <= {"CLOSED", "FAILED"}

    eventually(ended, lambda: states, seconds=90)
    assert sorted(states.values()) == ["CLOSED", "FAILED"]
    loser = next(task_id for task_id, state in states.items() if state == "FAILED")
    fault = session.getTaskResult(loser, raise_fault=False)["faultString"]
    assert re.search(r"is being built by task \d+|was taken by another build", fault), fault
    nothing_left(box)


def test_the_hub_is_restarted_during_a_build(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 8", release="1"))
    task_id = _submit(packager)
    _wait_for_line(box, task_id, "RUN sleep")
    box.hub.stop()
    box.hub.start()
    box.hub.wait_ready()
    session = box.session(ADMIN)
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] == koji.TASK_STATES["CLOSED"],
        lambda: (session.getTaskInfo(task_id), session.getTaskResult(task_id, raise_fault=False)),
        seconds=90,
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
    _wait_for_line(box, task_id, "RUN sleep")
    pids = [service.pid for service in box.services]
    box.down()
    assert [service.pid for service in box.services] == [None] * len(pids)
    from tests.support.leftovers import on_machine

    assert on_machine(box) == []
    box.up()
    session = box.session(ADMIN)
    session.cancelTask(task_id)
    nothing_left(box)
