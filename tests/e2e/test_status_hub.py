# SPDX-License-Identifier: GPL-2.0-or-later
"""container-status on a hub, outside of a checkout: packages, own builds, several tasks, cancellation; its requests."""

from __future__ import annotations

import json
import re

import jsonschema

from tests.support.box_hub import RunningHub
from tests.support.played import PlayedBuilder
from tests.support.status_client import SCHEMA
from tests.support.waiting import PATIENCE

#: Requests of one view.
MAX_REQUESTS = 4


def _status(hub: RunningHub, played: PlayedBuilder, *arguments: str) -> str:
    """Run the command successfully with at most four requests, and return its output."""
    output, calls = _run(hub, played, *arguments)
    assert 1 <= len(calls) <= MAX_REQUESTS, calls
    return output


def _run(hub: RunningHub, played: PlayedBuilder, *arguments: str) -> tuple[str, list[str]]:
    """Run the command; return its output and its calls.

    What completion requests in the background, without a login, may come between: such a run is repeated.
    """
    for _ in range(3):
        before = len(hub.access_log.read_text().splitlines())
        process = played.start("container-status", *arguments)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
        lines = [line.split() for line in hub.access_log.read_text().splitlines()[before:]]
        users = {user for _, user, *_ in lines} - {"-"}
        calls = [call for _, user, call, *_ in lines if user in (users or {"-"}) and call != "logout"]
        if users or len(calls) <= MAX_REQUESTS:
            break
    return output, calls


def test_package(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    played.arch(task, "x86_64")
    failed = played.build()
    played.fail(failed, "no parent image")
    output = _status(hub, played, "hello", "--json")
    fields = json.loads(output)
    jsonschema.validate(fields, SCHEMA)
    assert task in [entry["task_id"] for entry in fields["running"]]
    assert {"task_id": failed, "reason": "no parent image"}.items() <= fields["builds"][0].items()
    output = _status(hub, played, "container/hello", "--failed", "--limit", "1", "--format", "{{.task_id}} {{.reason}}")
    assert output == f"{failed} no parent image\n"
    played.packager.cancelTask(task)


def test_own_builds(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    played.arch(task, "x86_64")
    output = _status(hub, played, "--mine", "--json")
    fields = json.loads(output)
    jsonschema.validate(fields, SCHEMA)
    (entry,) = (entry for entry in fields["running"] if entry["task_id"] == task)
    assert [each["host"] for each in entry["tasks"]] == ["builder-1", "builder-1"]
    played.packager.cancelTask(task)


def test_task_with_logs_and_a_result(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    child = played.arch(task, "x86_64")
    played.log(child, "x86_64.log", "compiling\n")
    played.fail(child, 'building at STEP "RUN make": exit status 2')
    played.fail(task, "x86_64: failed")
    output = _status(hub, played, str(task), "--json")
    fields = json.loads(output)
    jsonschema.validate(fields, SCHEMA)
    assert (fields["instruction"], fields["failed_task_id"], fields["owner"]) == ("RUN make", child, "packager")
    output = _status(hub, played, str(task), "--logs", "--failed")
    assert output == "compiling\n"


def test_cancel(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    output = _status(hub, played, "--cancel", str(task))
    assert re.match(rf"✘ task {task}  canceled\n", output)
    assert played.packager.getTaskInfo(task)["state"] == 3
    process = played.start("container-status", "--cancel", str(task))
    output, _ = process.communicate(timeout=PATIENCE)
    assert f"error: ended tasks cannot be canceled: {task} (canceled)\n" in output
    assert process.returncode == 3


def test_watching_several_tasks(played: PlayedBuilder, task: int) -> None:
    other = played.build()
    process = played.watch(task, str(other), "--progress", "plain")
    assert process.stdout is not None
    waiting = {task, other}
    output = ""
    while waiting:
        output += (line := process.stdout.readline())
        assert line, output
        waiting -= {number for number in waiting if f"● task {number} buildContainer (container/hello rawhide" in line}
    played.close(task, repositories=["r.io/hello:1"], koji_builds=[])
    played.fail(other, "no parent image")
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"✔ container/hello rawhide (scratch)  completed (closed)  task {task}\n" in output
    assert f"✘ container/hello rawhide (scratch)  failed  task {other}\n" in output
    assert "      r.io/hello:1\n" in output
