"""Which free tasks a builder gets (rules of kojihub/scheduler.py of koji 1.35, which runs for all hosts at once).

A task goes to the least loaded of the hosts that can take it. Here hosts are served when they ask: one that is busier
than another which asked just now leaves the task to that one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from fedpkg_container.box.hub.calls.tasks import ASSIGNED, FREE, OPEN
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import database

#: Seconds after which a host that refused a task may get it again.
REFUSAL_LIFETIME = 15 * 60
#: Seconds since its last sign of life for which a host is counted on; builders of a box ask twice a second.
FRESH = 3.0


@dataclass
class _Candidate:
    """A host that asks for tasks, and what it has.

    :param waits: it has not yet taken or refused what it was given: until then it gets nothing more
    """

    id: int
    capacity: float
    arches: frozenset[str]
    channels: frozenset[int]
    load: float
    tasks: int
    waits: bool

    def takes(self, task: Row) -> bool:
        """Whether it can take a task; arches are compared as they are written, those of tasks are canonical."""
        fits = task["channel_id"] in self.channels and task["arch"] in self.arches
        return fits and not self.waits and self.load < self.capacity


def assign(host: Row) -> None:
    """Assign free tasks to a host that asks for some."""
    if not host["enabled"] or not host["ready"]:
        return
    candidates = _candidates(host["id"])
    refused = _refused()
    for task in database().all("SELECT * FROM tasks WHERE state = ? ORDER BY priority, create_time", FREE):
        able = [each for each in candidates if each.takes(task) and (task["id"], each.id) not in refused]
        if not able:
            continue
        chosen = min(able, key=lambda each: (each.load + each.tasks, each.id != host["id"]))
        chosen.load += task["weight"]
        chosen.tasks += 1
        if chosen.id == host["id"]:
            database().update("tasks", task["id"], state=ASSIGNED, host_id=host["id"])


def _candidates(asking: int) -> list[_Candidate]:
    """The host that asks, and all others that asked just now."""
    rows = database().all(
        "SELECT * FROM hosts WHERE enabled AND ready AND (id = ? OR update_time > ?)", asking, time.time() - FRESH
    )
    return [_candidate(row) for row in rows]


def _candidate(row: Row) -> _Candidate:
    own = database().all("SELECT * FROM tasks WHERE host_id = ? AND state IN (?, ?)", row["id"], ASSIGNED, OPEN)
    channels = database().all("SELECT channel_id FROM host_channels WHERE host_id = ?", row["id"])
    return _Candidate(
        id=row["id"],
        capacity=row["capacity"],
        arches=frozenset({*row["arches"].split(), "noarch"}),
        channels=frozenset(each["channel_id"] for each in channels),
        load=sum(each["weight"] for each in own if not each["waiting"]),
        tasks=len(own),
        waits=any(each["state"] == ASSIGNED for each in own),
    )


def _refused() -> set[tuple[int, int]]:
    """Tasks and the hosts that refused them."""
    rows = database().all(
        "SELECT task_id, host_id FROM refusals WHERE NOT soft OR time > ?", time.time() - REFUSAL_LIFETIME
    )
    return {(row["task_id"], row["host_id"]) for row in rows}
