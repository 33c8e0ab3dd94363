# SPDX-License-Identifier: GPL-2.0-or-later
"""Cancellation of tasks at a user's request."""

from __future__ import annotations

from collections.abc import Sequence

from fedpkg_container.errors import RefusedError
from fedpkg_container.hub.events import TaskState
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.tasks import refusal, task_state


def cancel_tasks(session: HubSession, ids: Sequence[int]) -> list[TaskState]:
    """Cancel tasks and their descendants, using three requests; return their states afterwards.

    Nothing is canceled if one of the tasks does not exist or has ended.

    :param session: session with the hub, logged in
    :raises RefusedError: if a task cannot be canceled
    """
    before = _states(session, ids)
    if ended := [task for task in before if task.ended]:
        names = ", ".join(f"{task.id} ({task.state.lower()})" for task in ended)
        raise RefusedError(f"ended tasks cannot be canceled: {names}", solution="pass only unfinished tasks")
    with session.multicall(strict=False) as multicall:
        calls = [multicall.cancelTask(task.id) for task in before]
    problems = [f"task {task.id}: {reason}" for task, call in zip(before, calls) if (reason := refusal(call))]
    if problems:
        raise RefusedError(
            f"the hub did not cancel {'; '.join(problems)}",
            solution="only the owner of a task and administrators can cancel it",
        )
    return _states(session, ids)


def _states(session: HubSession, ids: Sequence[int]) -> list[TaskState]:
    """Return the states of tasks, using one request.

    :raises RefusedError: if one does not exist
    """
    infos = session.getTaskInfo(list(ids))
    if missing := [number for number, info in zip(ids, infos) if not info]:
        raise RefusedError(f"the hub has no task {', '.join(map(str, missing))}", solution="pass a valid task ID")
    return [task_state(info, "") for info in infos if info]
