# SPDX-License-Identifier: GPL-2.0-or-later
"""RUN that takes more than it may: time, disk, log; and a disk of the builder that is full."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.engines.storage import size_of
from tests.support.leftovers import eventually, nothing_left
from tests.support.packager import Packager
from tests.support.site import site_settings
from tests.support.small_disk import small_disk
from tests.support.steps import restart, submit, task_processes, wait_for_line
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

MEGABYTE = 10**6
#: pytest's ``record_property``: what was measured goes into the report.
Measured = Callable[[str, object], None]
ENDED = {koji.TASK_STATES[name] for name in ("CLOSED", "FAILED", "CANCELED")}


def _ended(packager: Packager, task_id: int) -> str:
    """Wait for the end of a build; what was wrong, or nothing."""
    session = packager.box.session(ADMIN)
    eventually(lambda: session.getTaskInfo(task_id)["state"] in ENDED, lambda: session.getTaskDescendents(task_id))
    result = session.getTaskResult(task_id, raise_fault=False)
    return str(result.get("faultString", "")) if isinstance(result, dict) else str(result)


def _assert_works(packager: Packager) -> None:
    """The NVR that failed is built, and nothing is left."""
    nothing_left(packager.box)
    packager.commit(packager.dockerfile("RUN true", release="1"), files={"container.yaml": "{}\n"})
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(packager.box)


@contextmanager
def _written(box: Box) -> Iterator[Callable[[], int]]:
    """Watch how many bytes builds had on disk at most."""
    directories = [box.layout.builder(name) / "state" / "builds" for name in box.layout.builders]
    most, end = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not end.wait(0.05):
            most = max(most, *map(size_of, directories))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: most
    finally:
        end.set()
        thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("site", "container_yaml"),
    [({"build_timeout": "6"}, "{}\n"), ({}, "buildtime_limit: 6\n")],
    ids=["the site's limit", "buildtime_limit"],
)
@pytest.mark.parametrize(
    "run",
    [
        "RUN trap '' INT TERM HUP; while true; do sleep 1000; done",
        "RUN (trap '' INT TERM HUP; busybox setsid sleep 1001 &) ; while true; do :; done",
    ],
    ids=["sleeps", "forks a daemon and spins"],
)
def test_run_that_never_ends(packager: Packager, box: Box, site: dict[str, str], container_yaml: str, run: str) -> None:
    packager.commit(packager.dockerfile(run, release="1"), files={"container.yaml": container_yaml})
    with site_settings(box, {"limits": site}):
        fault = _ended(packager, submit(packager))
    assert re.search(r"x86_64 exceeded the time limit of 6 s; .*buildtime_limit", fault), fault
    _assert_works(packager)


def test_run_that_leaves_a_daemon_behind(packager: Packager, box: Box) -> None:
    """The daemon ends with its RUN, and the build continues."""
    daemon = "touch /up; while true; do sleep 1; echo alive; done"
    run = f"RUN (trap '' INT TERM HUP; busybox setsid busybox sh -c '{daemon}' &) ; until [ -e /up ]; do sleep 1; done"
    packager.commit(packager.dockerfile(run, "RUN echo next", release="1"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nnext\n" in done.stdout
    nothing_left(box)


@pytest.mark.parametrize(
    "run",
    ["RUN busybox yes > /big", "RUN n=0; while true; do n=$((n+1)); head -c 1000000 /dev/zero > /file-$n; done"],
    ids=["one file", "many files"],
)
def test_run_that_writes_without_end(packager: Packager, box: Box, run: str, record_property: Measured) -> None:
    packager.commit(packager.dockerfile(run, release="1"))
    with site_settings(box, {"limits": {"build_size": "200M"}}), _written(box) as written:
        fault = _ended(packager, submit(packager))
    assert re.search(r"the build wrote more than 200 MB; reduce the image size", fault), fault
    record_property("megabytes_written", written() // MEGABYTE)
    assert 200 * MEGABYTE < written() < 5000 * MEGABYTE
    _assert_works(packager)


@pytest.mark.root
def test_run_that_uses_too_much_memory(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN x=$(busybox yes | head -c 400000000); echo ${#x}", release="1"))
    with site_settings(box, {"limits": {"memory": "200M"}}):
        fault = _ended(packager, submit(packager))
    assert re.search(r"failed: out of memory \(limit: 0.2 GB\); use less memory in RUN", fault), fault
    _assert_works(packager)


def test_a_builder_whose_disk_is_nearly_full(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 5", release="1"))
    free = shutil.disk_usage(box.layout.directory).free
    with site_settings(box, {"limits": {"free_space": str(2 * free)}}):
        fault = _ended(packager, submit(packager))
    assert re.search(r"the builder has only \S+ GB of free disk space; build again", fault), fault
    _assert_works(packager)


def test_a_builder_whose_disk_is_full(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN busybox dd if=/dev/zero of=/big bs=1000000 count=300", release="1"))
    for name in box.layout.builders:
        box.builder(name).stop()
    state = box.layout.builder("builder-1") / "state"
    try:
        with small_disk(state, "150M"):
            box.start_builder("builder-1")
            with site_settings(box, {"limits": {"free_space": "0B"}}):
                fault = _ended(packager, submit(packager))
            assert re.search(r"x86_64 failed: no space left on the builder; build again", fault), fault
            box.builder("builder-1").stop()
            assert not list((state / "builds").glob("task-*"))
    finally:
        restart(box)
    _assert_works(packager)


def test_a_line_of_a_hundred_megabytes(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN head -c 100000000 /dev/zero | busybox tr '\\0' x ; echo ; echo the end"))
    task_id = submit(packager, "--scratch")
    child = wait_for_line(box, task_id, "building ")
    assert _ended(packager, task_id) == ""
    path = koji.PathInfo(topdir=str(box.layout.topdir)).task(child) + "/x86_64.log"
    with open(path, "rb") as log:
        assert sum(part.count(b"x") for part in iter(lambda: log.read(1 << 20), b"")) >= 100_000_000
    nothing_left(box)


def test_run_that_prints_nothing_for_long(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 45; printf 'no newline at the end'"))
    done = packager.build("--scratch")
    assert done.returncode == 0, done.stderr
    assert "no newline at the end" in done.stdout
    nothing_left(box)


def _peak(pid: int) -> int:
    """The most memory that a process has had, bytes."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def test_a_log_of_five_hundred_megabytes(packager: Packager, box: Box, record_property: Measured) -> None:
    line = "x" * 99
    packager.commit(packager.dockerfile(f"RUN busybox yes {line} | head -n 5000000 && echo the end of it && sleep 5"))
    began = time.monotonic()
    task_id = submit(packager, "--scratch")
    child = wait_for_line(box, task_id, "building ")
    path = Path(koji.PathInfo(topdir=str(box.layout.topdir)).task(child)) / "x86_64.log"
    handlers = task_processes(box, child)
    memory = 0

    def through() -> bool:
        nonlocal memory
        memory = max([memory, *(_peak(pid) for pid in handlers if Path(f"/proc/{pid}/status").exists())])
        return path.stat().st_size > 500 * MEGABYTE

    eventually(through, lambda: path.stat().st_size)
    assert _ended(packager, task_id) == ""
    record_property("seconds", round(time.monotonic() - began))
    record_property("memory_megabytes", memory // MEGABYTE)
    assert 0 < memory < 200 * MEGABYTE
    with path.open("rb") as log:
        assert sum(each == f"{line}\n".encode() for each in log) == 5_000_000
    assert b"\nthe end of it\n" in path.read_bytes()[-5000:]
    nothing_left(box)


def test_a_log_that_is_longer_than_it_may_be(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN busybox yes", release="1"))
    with site_settings(box, {"limits": {"log_size": "20M"}}):
        fault = _ended(packager, submit(packager))
    assert re.search(r"the build printed more than 20 MB; reduce the output of the RUN steps", fault), fault
    _assert_works(packager)
