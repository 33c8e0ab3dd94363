"""How the tasks below a task ended, as the task itself asks it on a builder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import koji

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.hub.tasks import one_sentence


def first_failure(session: Any, ids: Sequence[int]) -> BuildFailedError | None:
    """What went wrong first in some tasks, each of one arch; None when all went well.

    Tasks that were canceled count where none failed: when one fails, the others are canceled.
    """
    tasks = [task for task in session.getTaskInfo(list(ids)) if task]
    failed = [task for task in tasks if task["state"] == koji.TASK_STATES["FAILED"]]
    canceled = [task for task in tasks if task["state"] == koji.TASK_STATES["CANCELED"]]
    first = min(failed or canceled, key=lambda task: (task["completion_ts"] or math.inf, task["id"]), default=None)
    if first is None:
        return None
    if not failed:
        return BuildFailedError(f"the build for {first['arch']} (task {first['id']}) was canceled")
    fault = session.getTaskResult(first["id"], raise_fault=False)
    reason = one_sentence(str(fault.get("faultString", ""))) or f"task {first['id']} failed"
    return BuildFailedError(reason if first["arch"] in reason else f"{first['arch']}: {reason}")
