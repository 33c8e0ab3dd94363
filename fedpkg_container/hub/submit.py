"""Submitting a build once, whatever happens to the answer."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import koji

from fedpkg_container.errors import LostContactError, RefusedError
from fedpkg_container.hub.session import UNREACHABLE
from fedpkg_container.model.build import BuildRequest
from fedpkg_container.text import printable

#: Seconds for which a task is looked for whose id was lost, and between two looks.
SEARCH = 30.0
PAUSE = 2.0
#: Seconds by which the hub's clock may differ.
CLOCK_SKEW = 300.0


def submit(session: Any, request: BuildRequest, *, newest: int = 0) -> int:
    """Create the task; its id.

    An answer that is lost is never followed by submitting again: the task is looked for.

    :param newest: the newest task before; an equal one that is not newer is another build
    :raises RefusedError: the hub refuses
    :raises LostContactError: the hub did not answer, and no such task was found
    """
    began = time.time()
    try:
        return int(
            session.buildContainer(request.source, request.target, dict(request.options), priority=request.priority)
        )
    except (koji.RetryError, koji.ServerOffline, *UNREACHABLE):
        return _find(session, request, began, newest)
    except koji.AuthError:
        raise
    except koji.ActionNotAllowed as error:
        raise RefusedError(
            f"the hub does not let you build this: {printable(str(error))}",
            solution="ask those who run it, or build what its rules allow (a scratch build, perhaps)",
        ) from error
    except koji.GenericError as error:
        raise RefusedError(
            f"the hub refuses the build: {printable(str(error))}", solution="build without the option that it names"
        ) from error


def _find(session: Any, request: BuildRequest, began: float, newest: int) -> int:
    """The task that a submission made whose answer did not come."""
    arguments = [request.source, request.target, dict(request.options)]
    deadline = time.monotonic() + SEARCH
    while time.monotonic() < deadline:
        with contextlib.suppress(koji.ServerOffline, koji.AuthError, *UNREACHABLE):
            user = session.getLoggedInUser()["id"]
            wanted = {"owner": user, "method": "buildContainer", "createdAfter": began - CLOCK_SKEW, "decode": True}
            for task in session.listTasks(wanted, {"order": "-id", "limit": 20}):
                if task["id"] > newest and list(task["request"]) == arguments:
                    return int(task["id"])
        time.sleep(PAUSE)
    raise LostContactError(
        "the hub did not answer, and shows no such task",
        solution="see whether the build is there before submitting again: koji list-tasks --mine",
    )
