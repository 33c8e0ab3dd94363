# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-status --cancel``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedpkg_container.commands import status_fields
from fedpkg_container.commands.status_view import View

if TYPE_CHECKING:
    from fedpkg_container.hub.protocol import HubSession


def cancel(session: HubSession, ids: Sequence[int]) -> View:
    """Cancel tasks and return a view of their states.

    :raises RefusedError: if one of them cannot be canceled
    """
    from fedpkg_container.hub.canceling import cancel_tasks
    from fedpkg_container.progress.look import Cell, Row, state_cell, task_text

    tasks = cancel_tasks(session, ids)
    rows = [
        Row((Cell(f"task {task.id}", "strong"), state_cell(task.state, task_text(task))), state=task.state)
        for task in tasks
    ]
    return View(status_fields.canceled(tasks), [], lambda page: page.table(rows))
