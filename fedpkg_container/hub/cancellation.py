"""Whether a task has been canceled, asked by the task itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import koji

from fedpkg_container.signals import Interrupted

#: Seconds between two questions.
INTERVAL = 4.0


@dataclass
class Cancellation:
    """Looks now and then whether a task still runs.

    kojid ends the processes of a canceled task one after the other, the innermost first, and gives each three seconds:
    where RUN has started many, the task's own process would learn of it late.
    """

    session: Any
    task_id: int
    _next: float = field(default=0.0)

    def check(self) -> None:
        """Look, if it is time.

        :raises Interrupted: the task was canceled
        """
        if time.monotonic() < self._next:
            return
        task = self.session.getTaskInfo(self.task_id)
        if task and task["state"] == koji.TASK_STATES["CANCELED"]:
            raise Interrupted("the task was canceled")
        self._next = time.monotonic() + INTERVAL
