# SPDX-License-Identifier: GPL-2.0-or-later
"""Submitting a build exactly once, even if the response is lost."""

from __future__ import annotations

import contextlib
import logging
import time

import koji

from fedpkg_container.errors import LostContactError, RefusedError
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.session import CONNECTION_ERRORS, failure_reason
from fedpkg_container.model.build import BuildRequest
from fedpkg_container.text import printable

_log = logging.getLogger(__name__)

#: Timeout and interval, in seconds, of the search for a task whose ID was lost.
SEARCH_TIMEOUT = 30.0
SEARCH_INTERVAL = 2.0
#: Maximum difference between the clocks of client and hub, in seconds.
CLOCK_SKEW = 300.0


def submit(session: HubSession, request: BuildRequest, *, newest: int = 0) -> int:
    """Create the task and return its ID.

    If the response is lost, the request is not retried: the task is searched for instead.

    :param newest: ID of the newest task before the submission; identical tasks up to it are other builds
    :raises RefusedError: if the hub rejects the build
    :raises LostContactError: if the hub did not respond and no such task was found
    """
    began = time.time()
    try:
        return int(
            session.buildContainer(request.source, request.target, request.options.copy(), priority=request.priority)
        )
    except (koji.RetryError, koji.ServerOffline, *CONNECTION_ERRORS) as error:
        _log.warning("the response to the submission was lost (%s): searching for the task", failure_reason(error))
        return _find_submitted(session, request, began, newest)
    except koji.AuthError:
        raise
    except koji.ActionNotAllowed as error:
        raise RefusedError(
            f"the hub does not permit this build: {printable(str(error))}",
            solution="request permission from the site's administrators, or submit a build that does not need it "
            "(e.g. --scratch)",
        ) from error
    except koji.GenericError as error:
        raise RefusedError(
            f"the hub rejected the build: {printable(str(error))}", solution="remove the option named above"
        ) from error


def _find_submitted(session: HubSession, request: BuildRequest, began: float, newest: int) -> int:
    """Find the task created by a submission whose response was lost."""
    arguments = [request.source, request.target, dict(request.options)]
    deadline = time.monotonic() + SEARCH_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(koji.ServerOffline, koji.AuthError, *CONNECTION_ERRORS):
            user = session.getLoggedInUser()["id"]
            query = {"owner": user, "method": "buildContainer", "createdAfter": began - CLOCK_SKEW, "decode": True}
            for task in session.listTasks(query, {"order": "-id", "limit": 20}):
                if task["id"] > newest and list(task["request"]) == arguments:
                    _log.info("found task %d", task["id"])
                    return int(task["id"])
        time.sleep(SEARCH_INTERVAL)
    raise LostContactError(
        "the hub did not respond, and no submitted task was found",
        solution="before submitting again, check whether the task exists: koji list-tasks --mine",
    )
