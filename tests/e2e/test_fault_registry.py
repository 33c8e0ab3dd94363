# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry that is down, answers 500, hangs or is full while a build pushes: what is reported, and what is left."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from tests.support.faulty_registry import FaultyRegistry, faulty_registry
from tests.support.leftovers import eventually, nothing_left, on_machine, reserved
from tests.support.packager import Packager
from tests.support.registries import docker_registry
from tests.support.site import site_settings
from tests.support.small_disk import small_disk
from tests.support.steps import submit, wait_for_line
from tests.support.waiting import slowed

pytestmark = pytest.mark.slow

#: The requests of a push to staging, and those that publish.
STAGING = r"(POST|PUT|PATCH) /v2/staging/"
PUBLISHING = r"PUT /v2/hello-[0-9a-f]+/manifests/"
#: What sets the tag of the version and release, when the build is recorded.
NAMING = r"PUT /v2/hello-[0-9a-f]+/manifests/1\.0-1$"
#: pytest's ``record_property``: what was measured goes into the report.
Measured = Callable[[str, object], None]
ENDED = {koji.TASK_STATES[name] for name in ("CLOSED", "FAILED", "CANCELED")}


@pytest.fixture
def registry(box: Box) -> Iterator[FaultyRegistry]:
    """The builders push to a registry that can fail; they soon stop retrying."""
    with faulty_registry(box) as registry:
        with site_settings(box, {"registry": {"candidate": registry.address, "timeout": "20", "retry_timeout": "4"}}):
            yield registry


def _ended(packager: Packager, task_id: int) -> str:
    """Wait for the end of a build; what was wrong, or nothing."""
    session = packager.box.session(ADMIN)
    eventually(lambda: session.getTaskInfo(task_id)["state"] in ENDED, lambda: session.getTaskDescendents(task_id))
    result = session.getTaskResult(task_id, raise_fault=False)
    return str(result.get("faultString", "")) if isinstance(result, dict) else str(result)


def _left(box: Box) -> list[str]:
    """What is left besides what is staged."""
    return [*on_machine(box), *reserved(box)]


def _assert_failed_and_works_again(packager: Packager, fault: str, expected: str) -> None:
    assert re.search(expected, fault), fault
    build = packager.box.session(ADMIN).getBuild(f"{packager.name}-container-1.0-1")
    assert koji.BUILD_STATES[build["state"]] == "FAILED"
    _assert_works(packager)


def _assert_works(packager: Packager) -> None:
    """The same NVR is built, and when the pruner has been there nothing is left of the build that failed."""
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    packager.box.prune()
    nothing_left(packager.box)


@pytest.mark.parametrize("on", [STAGING, PUBLISHING], ids=["staging", "publishing"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (500, r"127\.0\.0\.1:\d+ failed \(required for 127\.0\.0\.1:\d+/.*\): .*(HTTP 500|500 I).*; try again"),
        (0, r"127\.0\.0\.1:\d+ does not respond in time \(required for .*\): .*(did not end within 20 s|timed out)"),
    ],
    ids=["answers 500", "hangs"],
)
def test_a_registry_that_fails_for_good(
    packager: Packager, registry: FaultyRegistry, status: int, expected: str, on: str
) -> None:
    packager.commit(packager.dockerfile("RUN echo hello > /hello", release="1"))
    registry.fail(on, status)
    fault = _ended(packager, submit(packager))
    assert registry.failed
    registry.release()
    _assert_failed_and_works_again(packager, fault, expected)


def test_a_registry_that_fails_when_the_build_is_recorded(packager: Packager, registry: FaultyRegistry) -> None:
    """It stays recorded, in no Koji tag; the next release is built."""
    packager.commit(packager.dockerfile("RUN echo hello > /hello", without="release"))
    registry.fail(NAMING, 500)
    fault = _ended(packager, submit(packager))
    nvr = f"{packager.name}-container-1.0-1"
    assert re.search(rf"{nvr} is recorded, but .*:1\.0-1 is not set, and it is not tagged into ", fault), fault
    assert re.search(r": PUT .*/manifests/1\.0-1: HTTP 500", fault), fault
    session = packager.box.session(ADMIN)
    build = session.getBuild(nvr)
    assert build["state"] == koji.BUILD_STATES["COMPLETE"]
    assert session.listTags(build["id"]) == []
    registry.release()
    _assert_works(packager)
    assert session.getBuild(f"{packager.name}-container-1.0-2")["state"] == koji.BUILD_STATES["COMPLETE"]


@pytest.mark.parametrize("on", [STAGING, PUBLISHING, NAMING], ids=["staging", "publishing", "naming"])
def test_a_registry_that_answers_500_for_a_moment(packager: Packager, box: Box, on: str) -> None:
    packager.commit(packager.dockerfile("RUN echo hello > /hello", release="1"))
    with faulty_registry(box) as registry, site_settings(box, {"registry": {"candidate": registry.address}}):
        registry.fail(on, 500)
        task_id = submit(packager)
        eventually(lambda: len(registry.failed) > 0, lambda: registry.failed)
        threading.Timer(10, registry.release).start()
        assert _ended(packager, task_id) == ""
        assert len(registry.failed) > 1
    nothing_left(box)


@pytest.mark.parametrize("seconds", [10, 60], ids=["restarted", "down"])
def test_a_registry_that_is_down(packager: Packager, box: Box, seconds: int, record_property: Measured) -> None:
    """The box's builders retry for 20 s."""
    packager.commit(packager.dockerfile("RUN sleep 8", release="1"))
    task_id = submit(packager)
    wait_for_line(box, task_id, "RUN sleep")
    box.registry.stop()
    began = time.monotonic()
    try:
        if seconds < 20:
            time.sleep(seconds)
        else:
            fault = _ended(packager, task_id)
            record_property("failed_after", round(time.monotonic() - began))
    finally:
        box.registry.start()
        box.registry.wait_ready()
    if seconds < 20:
        assert _ended(packager, task_id) == ""
    else:
        _assert_failed_and_works_again(packager, fault, r"127\.0\.0\.1:\d+ cannot be reached \(required for .*refused")


def test_a_registry_whose_disk_is_full(packager: Packager, box: Box, tmp_path: Path) -> None:
    packager.commit(packager.dockerfile("RUN head -c 20000000 /dev/urandom > /noise", release="1"))
    directory = tmp_path / "registry"
    with small_disk(directory, "12M") as disk, docker_registry(directory, authority=box.authority) as address:
        with site_settings(box, {"registry": {"candidate": address, "retry_timeout": "4"}}):
            fault = _ended(packager, submit(packager))
            assert _left(box) == []
            disk.resize("300M")
            _assert_failed_and_works_again(packager, fault, rf"{address} failed \(required for {address}/.*")


@pytest.mark.parametrize("on", [STAGING, PUBLISHING], ids=["staging", "publishing"])
def test_canceled_while_the_registry_hangs(packager: Packager, box: Box, on: str, record_property: Measured) -> None:
    packager.commit(packager.dockerfile("RUN echo hello > /hello", release="1"))
    with faulty_registry(box) as registry, site_settings(box, {"registry": {"candidate": registry.address}}):
        registry.fail(on, 0)
        task_id = submit(packager)
        eventually(lambda: len(registry.failed) > 0, lambda: registry.failed)
        registry.fail("/v2/", 0)  # from now on every request hangs
        began = time.monotonic()
        box.session(ADMIN).cancelTask(task_id)
        eventually(lambda: not _left(box), lambda: _left(box), seconds=slowed(10))
        record_property("gone_after", round(time.monotonic() - began, 1))
        registry.release()
        _assert_works(packager)
