# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder of the box, a machine with other programs, and a hub that is silent or has forgotten it."""

from __future__ import annotations

import configparser
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.services import Service
from tests.support.leftovers import eventually, nothing_left
from tests.support.packager import Packager
from tests.support.steps import kill_for_good, restart
from tests.support.strange import strange_process

FIRST, SECOND = "builder-1", "builder-2"


@pytest.fixture
def only_first(box: Box) -> Iterator[None]:
    """The second builder does not run; afterwards both do."""
    box.builder(SECOND).stop()
    yield
    restart(box, [SECOND])


def _build(packager: Packager) -> None:
    done = packager.build("--scratch")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("only_first")
def test_a_process_whose_name_is_not_utf_8(packager: Packager, box: Box, tmp_path: Path) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    pid = box.builder(FIRST).pid
    with strange_process(tmp_path):
        # The builder cleans up after the first build and takes the second.
        _build(packager)
        _build(packager)
        nothing_left(box)
    assert box.builder(FIRST).pid == pid


@contextmanager
def _short_timeout(box: Box, service: Service) -> Iterator[None]:
    """Run a builder whose requests to the hub time out after a few seconds."""
    configuration = box.layout.builder(service.name) / "kojid.conf"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(configuration)
    parser["kojid"].update({"max_retries": "1", "retry_interval": "1", "timeout": "5"})
    service.stop()
    with configuration.open("w") as file:
        parser.write(file)
    service.start()
    service.wait_ready()
    try:
        yield
    finally:
        restart(box, [service.name])


@pytest.mark.slow
@pytest.mark.usefixtures("only_first")
@pytest.mark.parametrize("how", ["away", "silent"])
def test_a_hub_that_does_not_answer_for_longer_than_the_client_library_waits(
    packager: Packager, box: Box, how: str
) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    service = box.builder(FIRST)
    with _short_timeout(box, service):
        pid, before = service.pid, len(service.log.read_text())
        hub = box.hub.pid or 0
        os.kill(hub, signal.SIGSTOP) if how == "silent" else box.hub.stop()
        try:
            eventually(
                lambda: service.log.read_text()[before:].count("this round failed") > 0,
                lambda: service.log.read_text()[before:],
            )
        finally:
            if how == "silent":
                os.kill(hub, signal.SIGCONT)
            else:
                box.hub.start()
                box.hub.wait_ready()
        _build(packager)
        assert service.pid == pid
        assert "works again" in service.log.read_text()[before:]


@pytest.mark.usefixtures("only_first")
def test_a_hub_that_has_forgotten_its_sessions(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    pid = box.builder(FIRST).pid
    database = Database(box.layout.database)
    with database.transaction():
        database.execute("UPDATE sessions SET closed = 1")
    eventually(lambda: box.builder(FIRST).pid not in (None, pid), box.layout.log(FIRST).read_text)
    assert "the hub no longer accepts the session" in box.layout.log(FIRST).read_text()
    _build(packager)


def _kill_and_wait(box: Box, name: str) -> None:
    """Kill a service, and wait until the supervisor has started it again."""
    (killed,) = (each for each in box.services if each.name == name)
    pid = killed.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: killed.pid not in (None, pid) and killed.ready(), box.layout.log("supervisor").read_text)


@pytest.mark.usefixtures("only_first")
def test_what_is_killed_is_restarted(packager: Packager, box: Box) -> None:
    """A build needs each of the new processes."""
    for service in ("hub", "registry", "distgit", FIRST):
        _kill_and_wait(box, service)
    packager.commit(packager.dockerfile("RUN true"))
    packager.run("git", "pull", "--quiet")  # over HTTPS
    _build(packager)


@pytest.mark.slow
def test_a_builder_that_is_killed_while_run_runs(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 15"))
    process = packager.start("--scratch")
    assert process.stdout is not None
    while "RUN sleep" not in process.stdout.readline():
        assert process.poll() is None
    for name in box.layout.builders:
        os.kill(box.builder(name).pid or 0, signal.SIGKILL)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    nothing_left(box)


def test_what_was_stopped_is_not_restarted(box: Box) -> None:
    box.builder(FIRST).stop()
    second = box.builder(SECOND).pid
    try:
        os.kill(second or 0, signal.SIGKILL)
        eventually(lambda: box.builder(SECOND).pid not in (None, second), box.layout.log("supervisor").read_text)
        assert box.builder(FIRST).pid is None
    finally:
        restart(box)


def test_a_supervisor_that_was_killed_is_named_by_status(box: Box) -> None:
    from fedpkg_container.box.cli import _parser, _run

    arguments = _parser().parse_args(["-d", str(box.layout.directory), "status"])
    assert _run(arguments) == 0
    kill_for_good(box.supervisor)
    eventually(lambda: box.supervisor.pid is None, lambda: box.supervisor.pid)
    try:
        assert _run(arguments) == 1
    finally:
        box.supervisor.start()
        box.supervisor.wait_ready()
