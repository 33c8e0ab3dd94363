# SPDX-License-Identifier: GPL-2.0-or-later
"""Many builds at once: they use what there is, share the base image's layers, all end well, and leave nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN, PACKAGER
from fedpkg_container.model.platforms import Platform
from fedpkg_container.model.reference import ImageReference
from tests.support.leftovers import PATIENCE, eventually, nothing_left, registry_of
from tests.support.packager import Packager

CLOSED = koji.TASK_STATES["CLOSED"]


def _submit(packager: Packager, count: int) -> list[int]:
    """Submit scratch builds of the checkout at the same moment."""
    done = packager.build("--scratch", "--nowait")
    first = int(re.findall(r"Created task: (\d+)", done.stdout)[0])
    session = packager.box.session(PACKAGER)
    request = session.getTaskInfo(first, request=True)["request"]
    with session.multicall(strict=True) as multicall:
        more = [multicall.buildContainer(*request) for _ in range(count - 1)]
    return [first, *(call.result for call in more)]


def _children(session: Any, tasks: Sequence[int]) -> list[dict[str, Any]]:
    return [child for task in tasks for child in session.getTaskChildren(task)]


def _all_end_well(session: Any, tasks: Sequence[int], seconds: float = PATIENCE) -> None:
    ended = {koji.TASK_STATES[name] for name in ("CLOSED", "FAILED", "CANCELED")}
    eventually(
        lambda: all(task["state"] in ended for task in session.getTaskInfo(list(tasks))),
        lambda: [(task["id"], task["state"]) for task in session.getTaskInfo(list(tasks))],
        seconds=seconds,
    )
    assert [task["state"] for task in session.getTaskInfo(list(tasks))] == [CLOSED] * len(tasks)


def _base_layers(box: Box, packager: Packager) -> list[str]:
    """Digests of the base image's layers, as the registry has them."""
    registry, base = registry_of(box), ImageReference.parse(packager.base)
    (member,) = registry.manifest(base).members
    return [layer["digest"] for layer in registry.manifest(base.at(member["digest"])).content["layers"]]


def _downloads(box: Box, digest: str, since: int) -> int:
    """How often a blob was fetched from the registry."""
    with box.layout.log("registry").open() as file:
        file.seek(since)
        found: list[str] = re.findall(rf'"GET /v2/demo-base/blobs/{digest} HTTP/[0-9.]+" 200', file.read())
    return len(found)


def _layers(store: Path) -> list[dict[str, Any]]:
    """The layers that a store has itself, those of working containers included."""
    directory = store / "work" / "graph" / "overlay-layers"
    files = [path for name in ("layers.json", "volatile-layers.json") if (path := directory / name).exists()]
    return [layer for path in files for layer in json.loads(path.read_text() or "[]")]


def _most_at_once(children: Sequence[dict[str, Any]]) -> int:
    times = [(float(child["start_ts"]), float(child["completion_ts"])) for child in children]
    return max(sum(began <= moment < ended for began, ended in times) for moment, _ in times)


@pytest.mark.slow
def test_four_at_once_share_the_layers_of_their_base(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN echo hello > /hello", "RUN sleep 30"))
    tasks = _submit(packager, 4)
    session = box.session(ADMIN)
    stores = {name: box.layout.builder(name) / "state" for name in box.layout.builders}

    def at_work() -> list[Path]:
        """Stores of builds that have a separate layer."""
        return [
            directory
            for state in stores.values()
            for directory in (state / "builds").glob("task-*")
            if _layers(directory)
        ]

    eventually(lambda: len(at_work()) == 4, at_work)
    base = registry_of(box).configuration(ImageReference.parse(packager.base), Platform("amd64"))["rootfs"]["diff_ids"]
    shared = {
        state: [layer for image in (state / "shared" / "images").iterdir() for layer in _layers(image)]
        for state in stores.values()
    }
    for state, layers in shared.items():
        assert [[layer["diff-digest"] for layer in layers].count(each) for each in base] == [1] * len(base), state
    for directory in at_work():
        (own,) = _layers(directory)
        (below,) = (layer for layer in shared[directory.parents[1]] if layer["id"] == own["parent"])
        assert below["diff-digest"] == base[-1]
    assert {directory.parents[1] for directory in at_work()} == set(stores.values())
    _all_end_well(session, tasks)
    assert _most_at_once(_children(session, tasks)) == 4
    nothing_left(box)


@pytest.mark.slow
def test_twenty_builds_on_two_builders(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN echo hello > /hello"))
    log = box.layout.log("registry").stat().st_size
    tasks = _submit(packager, 20)
    session = box.session(ADMIN)
    _all_end_well(session, tasks, 900)
    children = _children(session, tasks)
    assert len(children) == 20
    hosts = [child["host_id"] for child in children]
    assert len(set(hosts)) == 2
    assert min(hosts.count(host) for host in set(hosts)) >= 5, hosts
    capacity = sum(machine.capacity for machine in box.layout.machines)
    assert len(box.layout.builders) < _most_at_once(children) <= capacity  # a task weighs 1 until it sets its weight
    for layer in _base_layers(box, packager):
        assert _downloads(box, layer, log) <= len(box.layout.builders)
    nothing_left(box)
