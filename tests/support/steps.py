# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder that pauses at a step of a build: to be killed, or to have its task canceled."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.services import Service
from fedpkg_container.process import process_ids
from tests.support.leftovers import eventually
from tests.support.packager import Packager
from tests.support.step_log import paused_at

#: The steps of both tasks, in order of completion.
PARENT = ("fetched", "reserved")
ARCH = ("fetched again", "pulled", "executed", "read", "pushed", "sent")
FINAL = ("built", "published", "documented", "uploaded", "imported", "named", "tagged")
STEPS = (*PARENT, *ARCH, *FINAL)


def start_paused(box: Box, name: str, step: str) -> Service:
    """Restart a builder, which pauses at a step of a build."""
    service = box.builder(name)
    service.stop()
    (box.layout.builder(name) / "ready").unlink(missing_ok=True)
    mark(box, name, step).unlink(missing_ok=True)
    module = service.command.index("-m") + 1
    command = [*paused_at(step, mark(box, name, step), str(service.command[module])), *service.command[module + 1 :]]
    paused = replace(service, command=command)
    paused.start()
    eventually(paused.ready, lambda: paused.log.read_text()[-2000:])
    return paused


def kill_for_good(service: Service) -> None:
    """Kill a builder like a machine failure; the box's supervisor does not restart it."""
    service.release()
    pid = service.pid
    assert pid is not None, f"{service.name} does not run"
    os.kill(pid, signal.SIGKILL)


def restart(box: Box, names: Sequence[str] = ()) -> None:
    """Restart builders as usual."""
    for name in names or box.layout.builders:
        box.builder(name).stop()
        box.start_builder(name)


def mark(box: Box, name: str, step: str) -> Path:
    """The file that shows that a builder is paused at a step."""
    return box.layout.builder(name) / f"paused-{step}"


def submit(packager: Packager, *arguments: str) -> int:
    """Submit a build without waiting; return its task."""
    done = packager.build("--nowait", *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[2])


def wait_for_line(box: Box, task_id: int, text: str) -> int:
    """Wait for a line in the log of the first architecture; return its task."""
    session = box.session(ADMIN)
    found: list[int] = []

    def shows() -> bool:
        for child in session.getTaskChildren(task_id):
            logs = session.listTaskOutput(child["id"])
            if "x86_64.log" in logs and text in session.downloadTaskOutput(child["id"], "x86_64.log").decode():
                found.append(child["id"])
                return True
        return False

    eventually(shows, lambda: session.getTaskDescendents(task_id))
    return found[0]


def task_processes(box: Box, task_id: int) -> list[int]:
    """Processes of a task's handler: those with an open log in its directory on one of the box's builders."""
    log = re.compile(rf"{re.escape(str(box.layout.directory))}/.*/work/tasks/\d+/{task_id}/[a-z0-9_-]+\.log")
    found = []
    for pid in process_ids():
        try:
            open_files = [os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if any(log.fullmatch(path) for path in open_files):
            found.append(pid)
    return found
