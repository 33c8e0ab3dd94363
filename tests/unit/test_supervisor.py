# SPDX-License-Identifier: GPL-2.0-or-later
"""The supervisor of a box, with processes that end on their own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.box.services import Service
from fedpkg_container.box.supervisor import LEFT_TIMEOUT, LONGEST_PAUSE, Supervisor
from fedpkg_container.process import is_running
from tests.support.leftovers import eventually

pytestmark = pytest.mark.programs


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def supervisor(tmp_path: Path, clock: _Clock) -> Supervisor:
    return Supervisor(tmp_path, clock=clock)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that does not run yet."""
    service = Service("sleeper", ["sleep", "1000"], lambda: True, tmp_path / "sleeper.log", tmp_path / "sleeper.pid")
    yield service
    service.stop()


def _kill(service: Service) -> int:
    pid = service.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: service.pid is None, lambda: pid)
    return pid


def test_a_service_that_was_killed_is_restarted(service: Service, supervisor: Supervisor) -> None:
    service.start()
    supervisor.look()
    killed = _kill(service)
    supervisor.look()
    assert service.pid not in (None, killed)


def test_it_is_restarted_as_it_was_started(service: Service, supervisor: Supervisor, tmp_path: Path) -> None:
    script = 'echo "$1 $COLOR $(umask)" >> "$2"; exec sleep 1000'
    command: list[str | Path] = ["sh", "-c", script, "sh", "two words", tmp_path / "said"]
    replace(service, command=command, environment={"COLOR": "red"}, umask=0o027).start()
    eventually(lambda: (tmp_path / "said").exists(), lambda: "")
    _kill(service)
    supervisor.look()
    lines = ["two words red 0027"] * 2
    eventually(lambda: (tmp_path / "said").read_text().splitlines() == lines, (tmp_path / "said").read_text)


@pytest.mark.parametrize("how", ["stopped", "released and killed", "stopping"])
def test_what_was_stopped_stays_stopped(service: Service, supervisor: Supervisor, how: str) -> None:
    service.start()
    supervisor.look()
    if how == "stopped":
        service.stop()
    elif how == "stopping":
        service.ask_to_stop()
        eventually(lambda: service.pid is None, lambda: service.pid)
    else:
        service.release()
        _kill(service)
    supervisor.look()
    assert service.pid is None
    assert not service.restart()


def test_a_stop_while_the_supervisor_is_about_to_restart(service: Service) -> None:
    service.start()
    seen = Service.from_start_file(service.start_file)
    _kill(service)
    service.stop()
    assert not seen.restart()
    assert service.pid is None


def test_pauses_grow_and_the_log_stays_short(
    service: Service, supervisor: Supervisor, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    replace(service, command=["false"]).start()
    caplog.set_level(logging.INFO)
    starts = []
    for _ in range(600):
        eventually(lambda: service.pid is None, lambda: service.pid)
        before = service.last_pid
        supervisor.look()
        if service.last_pid != before:
            starts.append(clock.now - 1000)
        clock.now += 1
    gaps = [round(after - before) for before, after in zip(starts, starts[1:])]
    assert gaps == sorted(gaps)
    assert max(gaps) in (LONGEST_PAUSE, LONGEST_PAUSE + 1)
    assert len(starts) < 20
    assert len(caplog.messages) <= 2 * len(starts) + 1


def test_a_service_that_ran_for_long_is_restarted_at_once(
    service: Service, supervisor: Supervisor, clock: _Clock
) -> None:
    service.start()
    for _ in range(5):
        supervisor.look()
        clock.now += LONGEST_PAUSE
        killed = _kill(service)
        supervisor.look()
        assert service.pid not in (None, killed)


def test_a_program_that_is_missing_ends_no_supervisor(
    service: Service, supervisor: Supervisor, tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "program"
    program.symlink_to("/bin/sleep")
    replace(service, command=[program, "1000"]).start()
    program.unlink()
    _kill(service)
    supervisor.look()
    assert f"sleeper cannot be started: program not found: {program}" in caplog.messages
    program.symlink_to("/bin/sleep")
    for _ in range(3):
        clock.now += 1
        supervisor.look()
    assert service.pid is not None


def test_what_a_service_started_may_end_first(service: Service, supervisor: Supervisor, clock: _Clock) -> None:
    child_file = service.log.with_name("child")
    script = f"sleep 1000 & echo $! > {child_file}.new; mv {child_file}.new {child_file}; wait"
    replace(service, command=["sh", "-c", script]).start()
    eventually(child_file.exists, lambda: "")
    child = int(child_file.read_text())
    child_file.unlink()
    _kill(service)
    supervisor.look()
    assert service.pid is None
    assert is_running(child)
    clock.now += LEFT_TIMEOUT
    supervisor.look()
    assert service.pid is not None
    assert not is_running(child)


def test_a_supervisor_whose_box_is_gone_ends(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    program = [
        sys.executable,
        "-c",
        "from fedpkg_container.box import supervisor; supervisor.ORPHANED = 0.5; supervisor.main()",
    ]
    with subprocess.Popen([*program, directory / "supervisor.pid"]) as process:
        assert process.wait(timeout=60) == 0
