"""Submitting a build once, whatever happens to the answer."""

from __future__ import annotations

import time
from typing import Any

import koji

from fedpkg_container.errors import LostContactError, RefusedError
from fedpkg_container.hub.session import UNREACHABLE
from fedpkg_container.model.request import BuildRequest

#: Seconds for which a task is looked for whose id was lost, and between two looks.
SEARCH = 60.0
PAUSE = 2.0
#: Seconds by which the hub's clock may differ.
CLOCK_SKEW = 300.0


def submit(session: Any, request: BuildRequest) -> int:
    """Create the task; its id.

    An answer that is lost is never followed by submitting again: the task is looked for.

    :raises RefusedError: the hub refuses
    :raises LostContactError: the hub did not answer, and no such task was found
    """
    began = time.time()
    try:
        return int(
            session.buildContainer(request.source, request.target, dict(request.options), priority=request.priority)
        )
    except koji.RetryError:
        return _find(session, request, began)
    except UNREACHABLE:
        return _find(session, request, began)
    except koji.GenericError as error:
        raise RefusedError(f"the hub refuses the build: {error}", solution="see the message of the hub") from error


def _find(session: Any, request: BuildRequest, began: float) -> int:
    """The task that a submission made whose answer did not come."""
    deadline = time.monotonic() + SEARCH
    while time.monotonic() < deadline:
        try:
            user = session.getLoggedInUser()["id"]
            wanted = {"owner": user, "method": "buildContainer", "createdAfter": began - CLOCK_SKEW, "decode": True}
            tasks = session.listTasks(wanted, {"order": "-id", "limit": 20})
        except UNREACHABLE:
            time.sleep(PAUSE)
            continue
        for task in tasks:
            if list(task["request"]) == [request.source, request.target, dict(request.options)]:
                return int(task["id"])
        break
    raise LostContactError(
        "the hub did not answer, and has no such task",
        solution="see whether the build is there before submitting again: koji list-tasks --mine",
    )
