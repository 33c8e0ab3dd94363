# SPDX-License-Identifier: GPL-2.0-or-later
"""Reporting and display of waiting tasks whose builders do not check in."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from fedpkg_container.hub.events import BuilderSeen, NoBuilder, TaskState
from fedpkg_container.hub.hosts import find_tasks_without_builder
from fedpkg_container.model.koji_types import HostInfo
from fedpkg_container.progress.json_lines import JsonRenderer
from fedpkg_container.progress.live import LiveRenderer
from fedpkg_container.progress.plain import PlainRenderer, QuietRenderer

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "progress.schema.json").read_text())
NOW = 10_000.0
CHANNEL = 3


def _task(arch: str = "aarch64", state: str = "FREE", number: int = 7) -> TaskState:
    return TaskState(number, 1, "createContainer", arch, state, "", arch=arch, channel=CHANNEL)


def _host(arches: str, ago: float | None) -> HostInfo:
    return {"arches": arches, "update_ts": None if ago is None else NOW - ago}


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ([], "the task's channel has no enabled builder for aarch64"),
        ([_host("x86_64", 1)], "the task's channel has no enabled builder for aarch64"),
        ([_host("aarch64", None)], "no builder for aarch64 has ever checked in with the hub"),
        (
            [_host("aarch64", 300), _host("aarch64", 9000)],
            "no builder for aarch64 has checked in with the hub for 5 min",
        ),
        ([_host("aarch64", 720), _host("x86_64", 1)], "no builder for aarch64 has checked in with the hub for 12 min"),
        ([_host("aarch64", 9000), _host("x86_64 aarch64", 299)], ""),
        ([_host("aarch64", -400)], ""),
    ],
)
def test_builders_of_an_arch(hosts: list[HostInfo], text: str) -> None:
    found = find_tasks_without_builder([_task()], {CHANNEL: hosts}, NOW)
    assert [event.text for event in found.values()] == ([text] if text else [])


@pytest.mark.parametrize(("ago", "text"), [(20, ""), (600, "no builder has checked in with the hub for 10 min")])
def test_noarch_tasks(ago: float, text: str) -> None:
    found = find_tasks_without_builder([_task("noarch")], {CHANNEL: [_host("x86_64", ago), _host("s390x", 700)]}, NOW)
    assert [event.text for event in found.values()] == ([text] if text else [])


def test_each_architecture_is_reported_once() -> None:
    tasks = [
        _task(),
        _task(number=8),
        _task("s390x", "ASSIGNED", 9),
        _task("ppc64le", "OPEN"),
        _task("x86_64", "CLOSED"),
    ]
    found = find_tasks_without_builder(tasks, {CHANNEL: [_host("x86_64 aarch64 s390x ppc64le", None)]}, NOW)
    assert [event.task.id for event in found.values()] == [7, 9]
    assert find_tasks_without_builder(tasks, {CHANNEL + 1: []}, NOW) == {}


EVENT = NoBuilder(_task(), 1, 720.0)


def test_plain_output_reports_it_once() -> None:
    stream = io.StringIO()
    show = PlainRenderer(stream)
    for event in (EVENT, NoBuilder(_task(), 1, 780.0), BuilderSeen("aarch64"), EVENT):
        show(event)
    assert (
        stream.getvalue()
        == "task 7 is still waiting: no builder for aarch64 has checked in with the hub for 12 min\n" * 2
    )


def test_quiet_reports_nothing() -> None:
    stream = io.StringIO()
    QuietRenderer(stream)(EVENT)
    assert stream.getvalue() == ""


def _live(view: LiveRenderer, stream: io.StringIO) -> str:
    stream.seek(0)
    stream.truncate()
    view.console.print(view.view())
    return stream.getvalue()


def test_live_view_shows_it_while_it_lasts() -> None:
    stream = io.StringIO()
    view = LiveRenderer(stream, console=Console(file=stream, width=100, height=24, force_terminal=False))
    view(EVENT)
    view(NoBuilder(_task(), 1, 780.0))
    assert _live(view, stream).count("task 7 is still waiting: no builder for aarch64 has checked in") == 1
    assert "for 13 min" in _live(view, stream)
    view(BuilderSeen("aarch64"))
    assert "is still waiting" not in _live(view, stream)


@pytest.mark.parametrize("seconds", [None, 720.04])
def test_json_follows_the_schema(seconds: float | None) -> None:
    stream = io.StringIO()
    show = JsonRenderer(stream)
    show(NoBuilder(_task(), 2, seconds))
    show(BuilderSeen("aarch64"))
    first, second = map(json.loads, stream.getvalue().splitlines())
    for each in (first, second):
        jsonschema.validate(each, SCHEMA)
    assert (first["event"], first["builders"], first["seconds"]) == ("no-builder", 2, seconds and 720.0)
    assert (second["event"], second["arch"]) == ("builder-seen", "aarch64")
