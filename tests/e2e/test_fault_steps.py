# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder that is killed, or a task that is canceled, after each step of a build: nothing stays behind, and the same
NVR is built, on another builder."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any
from xmlrpc.client import Fault

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN, PACKAGER
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import process_ids
from tests.support.leftovers import eventually, nothing_left, on_machine, people_tags, registry_of, reserved, staged
from tests.support.packager import Packager
from tests.support.steps import STEPS, kill_for_good, mark, restart, start_paused, submit, task_processes
from tests.support.waiting import slowed

pytestmark = pytest.mark.slow

#: pytest's ``record_property``: what was measured goes into the report.
Measured = Callable[[str, object], None]
FIRST, SECOND = "builder-1", "builder-2"
#: Seconds until nothing of a canceled build is left, from the cancel on, which is before the builder learns of it.
CANCELED_WITHIN = 10.0
#: After these a build is recorded: it stays, and its NVR is not built again.
RECORDED = ("imported", "named", "tagged")


@pytest.fixture
def only_first(box: Box) -> Iterator[None]:
    """The second builder does not run; afterwards both do."""
    box.builder(SECOND).stop()
    yield
    restart(box)


def _pause(packager: Packager, step: str) -> int:
    """Submit a build, and wait until the first builder waits after a step of it; its task."""
    packager.commit(packager.dockerfile("RUN echo hello > /hello", release="1"))
    paused = start_paused(packager.box, FIRST, step)
    task_id = submit(packager)
    eventually(mark(packager.box, FIRST, step).exists, lambda: paused.log.read_text()[-3000:])
    return task_id


def _ended(session: Any, task_id: int) -> dict[str, Any]:
    eventually(
        lambda: session.getTaskInfo(task_id)["state"] in (koji.TASK_STATES["CLOSED"], koji.TASK_STATES["FAILED"]),
        lambda: (session.getTaskInfo(task_id), session.getTaskDescendents(task_id)),
    )
    task: dict[str, Any] = session.getTaskInfo(task_id)
    return task


def _closed(session: Any, task_id: int) -> dict[str, Any]:
    task = _ended(session, task_id)
    assert task["state"] == koji.TASK_STATES["CLOSED"], session.getTaskResult(task_id, raise_fault=False)
    return task


def _assert_built(packager: Packager, task_id: int, host: str) -> None:
    """The task ends well on a builder, the build is its, and all tags mean the image."""
    box, nvr = packager.box, f"{packager.name}-container-1.0-1"
    session = box.session(ADMIN)
    task = _closed(session, task_id)
    assert session.getHost(task["host_id"])["name"] == host
    build = session.getBuild(nvr)
    assert (build["state"], build["task_id"]) == (koji.BUILD_STATES["COMPLETE"], task_id)
    assert [tag["name"] for tag in session.listTags(build["id"])] != []
    by_digest = next(each for each in build["extra"]["image"]["index"]["pull"] if "@" in each)
    repository = ImageReference.parse(by_digest)
    for tag in ("1.0-1", "1.0", "latest"):
        assert registry_of(box).manifest(repository.tagged(tag)).digest == repository.digest, tag
    nothing_left(box)


@pytest.mark.usefixtures("only_first")
@pytest.mark.parametrize("step", STEPS)
def test_the_daemon_is_killed(packager: Packager, box: Box, step: str) -> None:
    task_id = _pause(packager, step)
    kill_for_good(box.builder(FIRST))
    nothing_left(box)
    box.start_builder(SECOND)
    _assert_built(packager, task_id, SECOND)


@pytest.mark.usefixtures("only_first")
@pytest.mark.parametrize("step", ["reserved", "pulled", "pushed", "published", "imported"])
def test_all_processes_of_the_builder_are_killed_at_once(packager: Packager, box: Box, step: str) -> None:
    """As when its machine dies: nothing is cleaned up until it is back."""
    task_id = _pause(packager, step)
    session = box.session(ADMIN)
    handlers = [pid for each in (task_id, *_children(session, task_id)) for pid in task_processes(box, each)]
    assert handlers
    kill_for_good(box.builder(FIRST))
    for pid in handlers:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not set(handlers) & set(process_ids()), lambda: handlers)
    restart(box, [FIRST])
    _assert_built(packager, task_id, FIRST)


@pytest.mark.usefixtures("only_first")
def test_a_stranger_cannot_take_the_directory_of_the_import(packager: Packager, box: Box) -> None:
    """Its name is in the arguments of the tasks of the architectures, which are public."""
    task_id = _pause(packager, "fetched again")
    stranger = box.session(PACKAGER)
    (arch,) = stranger.getTaskChildren(task_id)
    directory = stranger.getTaskRequest(arch["id"])[0]["upload_directory"]
    with pytest.raises(koji.GenericError, match="Invalid upload directory, not owner"):
        stranger.rawUpload(b"{}", 0, directory, "metadata.json")
    with pytest.raises(Fault, match="metadata.json"):
        stranger.rawUpload(b"", 0, f"{directory}/metadata.json", "x")
    for name in ("container-build.log", "Dockerfile"):
        stranger.rawUpload(b"", 0, f"{directory}/{name}", "x")
    mark(box, FIRST, "fetched again").unlink()
    _assert_built(packager, task_id, FIRST)
    restart(box, [FIRST])


@pytest.mark.usefixtures("only_first")
def test_an_import_that_is_refused(packager: Packager, box: Box) -> None:
    """No tag that people go by means an image that Koji does not know."""
    task_id = _pause(packager, "uploaded")
    session = box.session(ADMIN)
    session.cancelBuild(session.getBuild(f"{packager.name}-container-1.0-1")["id"])
    mark(box, FIRST, "uploaded").unlink()
    _ended(session, task_id)
    fault = session.getTaskResult(task_id, raise_fault=False)["faultString"]
    assert "Token doesn't match" in fault
    assert people_tags(packager) == set()
    nothing_left(box)
    restart(box, [FIRST])
    _assert_built(packager, submit(packager), FIRST)


def _children(session: Any, task_id: int) -> list[int]:
    return [child["id"] for child in session.getTaskChildren(task_id)]


@pytest.mark.usefixtures("only_first")
@pytest.mark.parametrize("step", STEPS)
def test_the_task_is_canceled(packager: Packager, box: Box, step: str, record_property: Measured) -> None:
    task_id = _pause(packager, step)
    session = box.session(ADMIN)
    tasks = [task_id, *_children(session, task_id)]
    began = time.monotonic()
    session.cancelTask(task_id)

    def left() -> list[object]:
        return [
            *on_machine(box),
            *staged(box),
            *reserved(box),
            *(pid for each in tasks for pid in task_processes(box, each)),
        ]

    said = box.layout.log(FIRST)
    eventually(lambda: not left(), lambda: (left(), said.read_text()[-3000:]), seconds=slowed(CANCELED_WITHIN))
    record_property("gone_after", round(time.monotonic() - began, 1))
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    if step in RECORDED:
        assert build["state"] == koji.BUILD_STATES["COMPLETE"]
        return
    assert build is None or koji.BUILD_STATES[build["state"]] in ("CANCELED", "FAILED")
    assert people_tags(packager) == set()
    box.builder(FIRST).stop()
    box.start_builder(SECOND)
    _assert_built(packager, submit(packager), SECOND)
