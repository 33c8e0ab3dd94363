# SPDX-License-Identifier: GPL-2.0-or-later
"""Tasks for the contract tests, and actions of a builder on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import koji

from tests.contract.support import OPTIONS, SOURCE, as_fault, as_result


@dataclass(frozen=True)
class Target:
    """A build target and its tags."""

    name: str
    build_tag: int
    build_tag_name: str
    dest_tag: int
    dest_tag_name: str


@dataclass
class TaskBench:
    """Creates buildContainer tasks of the packager and acts as their builder.

    Targets are checked by task handlers, not by the hub, so a nonexistent name is sufficient here.
    """

    admin: Any
    packager: Any
    host: Any
    host_name: str
    made: list[int] = field(default_factory=list)

    def free_task(self, target: str = "no-target") -> int:
        """Create a task that no builder has opened."""
        task_id: int = self.packager.buildContainer(SOURCE, target, dict(OPTIONS))
        return self.remember(task_id)

    def remember(self, task_id: int) -> int:
        """Cancel a task after the test."""
        self.made.append(task_id)
        return task_id

    def give(self, task_id: int) -> dict[str, Any]:
        """Assign an existing task to the host, and open it."""
        assert self.admin.assignTask(task_id, self.host_name) is True
        opened: dict[str, Any] = self.host.host.openTask(task_id)
        assert opened["id"] == task_id
        return opened

    def open_task(self) -> int:
        task_id = self.free_task()
        self.give(task_id)
        return task_id

    def child(self, parent: int, label: str = "x86_64", **options: Any) -> int:
        """Create a subtask of an open task, without opening it."""
        arch = options.pop("arch", "x86_64")
        child: int = self.host.host.subtask(
            "createContainer", [{"label": label}], parent, label=label, arch=arch, **options
        )
        return child

    def closed_task(self, result: Any) -> int:
        task_id = self.open_task()
        self.host.host.closeTask(task_id, as_result(result))
        return task_id

    def failed_task(self, code: int, message: str) -> int:
        task_id = self.open_task()
        self.host.host.failTask(task_id, as_fault(code, message))
        return task_id

    def canceled_task(self) -> int:
        task_id = self.free_task()
        self.packager.cancelTask(task_id)
        return task_id

    def state(self, task_id: int) -> str:
        """Return the name of a task's state."""
        name: str = koji.TASK_STATES[self.packager.getTaskInfo(task_id)["state"]]
        return name

    def clear(self) -> None:
        for task_id in self.made:
            self.admin.cancelTaskChildren(task_id)
            self.admin.cancelTask(task_id)
