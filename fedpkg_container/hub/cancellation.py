# SPDX-License-Identifier: GPL-2.0-or-later
"""Detecting in a task that the task itself has been canceled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import koji

from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.signals import Interrupted

#: Seconds between two checks.
CHECK_INTERVAL = 4.0


@dataclass
class Cancellation:
    """Periodically checks whether a task has been canceled.

    kojid terminates the processes of a canceled task one by one, innermost first, waiting three seconds for each; if
    RUN has started many processes, the task's own process would be notified late.
    """

    session: HubSession
    task_id: int
    _next: float = field(default=0.0)

    def check(self) -> None:
        """Check the state of the task if the interval has passed.

        :raises Interrupted: if the task was canceled
        """
        if time.monotonic() < self._next:
            return
        task = self.session.getTaskInfo(self.task_id)
        if task and task["state"] == koji.TASK_STATES["CANCELED"]:
            raise Interrupted("the task was canceled")
        self._next = time.monotonic() + CHECK_INTERVAL
