# SPDX-License-Identifier: GPL-2.0-or-later
"""The client's reports and requests while a build waits on a real hub whose builder does not check in."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import koji
import pytest

from fedpkg_container.box.hub.database import Database
from fedpkg_container.hub.events import BuilderSeen, Event, Finished, NoBuilder, Requesting, Responded, TaskChanged
from fedpkg_container.hub.follow import follow
from fedpkg_container.model.polling import PollInterval
from tests.support.box_hub import RunningHub
from tests.support.played import PlayedBuilder
from tests.support.status_client import SCHEMA as STATUS_SCHEMA

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "progress.schema.json").read_text())
QUICK = PollInterval(minimum=0.1, maximum=0.2, hub_timeout=30, builder_check=0.3)
#: Seconds since the builder of these tests checked in.
SILENT = 720


def _change(hub: RunningHub, statement: str, *values: Any) -> None:
    """Change the hub's database."""
    database = Database(hub.access_log.with_name("hub.db"))
    with database.transaction():
        database.execute(statement, *values)


def _check_in(hub: RunningHub, ago: float | None) -> None:
    """Set when all builders were seen last."""
    moment = None if ago is None else time.time() - ago
    _change(hub, "UPDATE hosts SET update_time = ?", moment)


@pytest.fixture
def free(hub: RunningHub, played: PlayedBuilder) -> Iterator[int]:
    """A build that no builder starts, submitted two minutes ago."""
    task = int(played.packager.buildContainer("git+https://h/container/hello#1", "target", {"git_branch": "rawhide"}))
    _change(hub, "UPDATE tasks SET create_time = ? WHERE id = ?", time.time() - 120, task)
    _check_in(hub, SILENT)
    yield task
    played.packager.cancelTask(task)


def _end(played: PlayedBuilder, task: int) -> None:
    played.builder.host.openTask(task)
    played.close(task)


def test_following(hub: RunningHub, played: PlayedBuilder, free: int) -> None:
    told: list[Event] = []
    for event in follow(played.packager, free, interval=QUICK):
        if isinstance(event, (Requesting, Responded)):
            continue
        told.append(event)
        if isinstance(event, NoBuilder) and sum(isinstance(each, NoBuilder) for each in told) == 2:
            _check_in(hub, 1)
        elif isinstance(event, BuilderSeen):
            _end(played, free)
    kinds = [type(event) for event in told]
    assert kinds[:4] == [TaskChanged, NoBuilder, NoBuilder, BuilderSeen]
    assert set(kinds[4:]) == {TaskChanged, Finished}
    first = next(event for event in told if isinstance(event, NoBuilder))
    assert (first.task.id, first.builders) == (free, 1)
    assert first.text == "no builder has checked in with the hub for 12 min"


def test_a_builder_that_never_checked_in(hub: RunningHub, played: PlayedBuilder, free: int) -> None:
    _check_in(hub, None)
    for event in follow(played.packager, free, interval=QUICK):
        if isinstance(event, NoBuilder):
            assert event.text == "no builder has ever checked in with the hub"
            _end(played, free)
        elif isinstance(event, BuilderSeen):  # the task does not wait any more
            return
    pytest.fail("it was not reported")


@pytest.mark.parametrize("ago", [5, SILENT])
def test_builders_are_looked_at_once_in_a_while_and_in_the_request_of_the_tick(
    hub: RunningHub, played: PlayedBuilder, free: int, monkeypatch: pytest.MonkeyPatch, ago: float
) -> None:
    # Later than now: the task has waited for nothing when it is first seen, however slow the machine is.
    _change(hub, "UPDATE tasks SET create_time = ? WHERE id = ?", time.time() + 600, free)
    now, ticks = 0.0, 0
    looked: list[float] = []
    call = koji.MultiCallSession._callMethod

    def spy(session: Any, name: str, *arguments: Any, **options: Any) -> Any:
        if name == "listHosts":
            looked.append(now)
        return call(session, name, *arguments, **options)

    def sleep(seconds: float) -> None:
        nonlocal now, ticks
        now += seconds
        ticks += 1
        _check_in(hub, ago)
        if ticks == 60:
            _end(played, free)

    monkeypatch.setattr(koji.MultiCallSession, "_callMethod", spy)
    for _ in follow(played.packager, free, interval=PollInterval(), sleep=sleep, clock=lambda: now):
        pass
    assert ticks >= 60
    assert looked[0] >= 60
    assert min(after - earlier for earlier, after in zip(looked, looked[1:])) >= 60
    assert len(looked) <= now / 60
    packagers = [line.split()[2] for line in hub.access_log.read_text().splitlines() if "packager" in line.split()[1]]
    assert set(packagers[-ticks:]) == {"multiCall"}


def test_the_tree_of_a_task(hub: RunningHub, played: PlayedBuilder, free: int) -> None:
    reason = "no builder has checked in with the hub for 12 min"
    shown, _ = played.start("container-status", str(free)).communicate(timeout=60)
    assert re.match(
        rf"○ build of container/hello  waiting for a builder \(free\)  \d+ min( \d+ s)?  task {free}\n", shown
    )
    assert f"\n  waits because {reason}\n" in shown
    assert re.search(r"\n  builder-1  x86_64  not ready  seen 12 min ago  load 0.0 of \d+.0\n", shown)
    facts, _ = played.start("container-status", str(free), "--json").communicate(timeout=60)
    fields = json.loads(facts)
    jsonschema.validate(fields, STATUS_SCHEMA)
    (waiting,) = fields["waiting"]
    assert (waiting["task_id"], waiting["arch"], waiting["reason"]) == (free, "noarch", reason)
    assert SILENT <= time.time() - waiting["builders"][0]["last_seen"] < SILENT + 60
    _check_in(hub, 1)
    shown, _ = played.start("container-status", str(free)).communicate(timeout=60)
    assert reason not in shown


@pytest.mark.parametrize("kind", ["plain", "json"])
def test_watching(hub: RunningHub, played: PlayedBuilder, free: int, kind: str) -> None:
    process = played.watch(free, "--progress", kind)
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or ("is still waiting" not in lines[-1] and '"no-builder"' not in lines[-1]):
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    _end(played, free)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    if kind == "json":
        objects: list[dict[str, Any]] = [json.loads(line) for line in [*lines, *output.splitlines()]]
        for each in objects:
            jsonschema.validate(each, SCHEMA)
        assert [each["event"] for each in objects].count("builder-seen") == 1
