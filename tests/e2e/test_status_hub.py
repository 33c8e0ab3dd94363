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


def _status(hub: RunningHub, played: PlayedBuilder, *arguments: str) -> tuple[str, list[str]]:
    """Run the command successfully; return its output and the calls of its requests."""
    before = len(hub.access_log.read_text().splitlines())
    process = played.start("container-status", *arguments)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    calls = [line.split()[2] for line in hub.access_log.read_text().splitlines()[before:]]
    return output, [call for call in calls if call != "logout"]


def test_package(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    played.arch(task, "x86_64")
    failed = played.build()
    played.fail(failed, "no parent image")
    output, calls = _status(hub, played, "hello", "--json")
    assert len(calls) <= 4
    fields = json.loads(output)
    jsonschema.validate(fields, SCHEMA)
    assert task in [entry["task_id"] for entry in fields["running"]]
    assert {"task_id": failed, "reason": "no parent image"}.items() <= fields["builds"][0].items()
    output, _ = _status(
        hub, played, "container/hello", "--failed", "--limit", "1", "--format", "{{.task_id}} {{.reason}}"
    )
    assert output == f"{failed} no parent image\n"
    played.packager.cancelTask(task)


def test_own_builds(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    played.arch(task, "x86_64")
    output, calls = _status(hub, played, "--mine", "--json")
    assert len(calls) <= 4, calls
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
    output, calls = _status(hub, played, str(task), "--json")
    assert len(calls) <= 4, calls
    fields = json.loads(output)
    jsonschema.validate(fields, SCHEMA)
    assert (fields["instruction"], fields["failed_task_id"], fields["owner"]) == ("RUN make", child, "packager")
    output, calls = _status(hub, played, str(task), "--logs", "--failed")
    assert output == "compiling\n"
    assert len(calls) <= 4, calls


def test_cancel(hub: RunningHub, played: PlayedBuilder, task: int) -> None:
    output, calls = _status(hub, played, "--cancel", str(task))
    assert re.match(rf"✘ task {task}  canceled\n", output)
    assert len(calls) <= 4, calls
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
