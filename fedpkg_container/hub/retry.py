# SPDX-License-Identifier: GPL-2.0-or-later
"""Retrying requests to a hub that does not respond, while a build is followed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TypeVar

import koji

from fedpkg_container.errors import LostContactError, NotAuthenticatedError
from fedpkg_container.hub.events import ContactLost, ContactRegained, Event, Requesting, Responded
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.session import CLIENT_TIMEOUT, CONNECTION_ERRORS, failure_reason, is_permanent
from fedpkg_container.model.polling import PollInterval

_log = logging.getLogger(__name__)

Response = TypeVar("Response")

#: Maximum delay in seconds before a request is retried, and the factor by which the delay grows.
MAX_DELAY = 15.0
BACKOFF = 1.5
#: Minimum timeout of a request in seconds, for the last one before the limit.
MIN_TIMEOUT = 1.0


class HubRetry:
    """Retries requests to a hub, with increasing delays, until it responds or the timeout has passed.

    :param task_id: the task to name in errors
    :param login: logs the session in again; called once, if the hub no longer knows the session
    """

    def __init__(
        self,
        session: HubSession,
        task_id: int,
        interval: PollInterval,
        login: Callable[[], None] | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._task_id = task_id
        self._interval = interval
        self._login = login
        self._sleep = sleep
        self._clock = clock
        self._is_session_lost = False
        #: Without a response, it is unknown whether the task has ended.
        self._has_responded = False

    def call(self, request: Callable[[], Response]) -> Generator[Event, None, Response]:
        """Send a request until the hub responds; yield ``Requesting`` before each, ``ContactLost`` before each retry.

        One request waits at most ``CLIENT_TIMEOUT`` seconds, and not beyond the limit of all retries.

        :raises LostContactError: if the hub did not respond in time, or retrying is of no use
        :raises koji.AuthError: if the hub does not allow anonymous access
        """
        failing_since: float | None = None
        delay = self._interval.minimum
        while True:
            began = self._clock()
            left = self._interval.hub_timeout - (0.0 if failing_since is None else began - failing_since)
            self._session.opts["timeout"] = min(CLIENT_TIMEOUT, max(left, MIN_TIMEOUT))
            yield Requesting()
            try:
                if self._is_session_lost:
                    self._log_in_again()
                response = request()
            except koji.AuthError:
                self._note_lost_session()
            except (*CONNECTION_ERRORS, koji.GenericError, LostContactError) as error:
                failing_since = began if failing_since is None else failing_since
                seconds = self._clock() - failing_since
                reason = failure_reason(error)
                if seconds >= self._interval.hub_timeout or is_permanent(error):
                    raise self._lost_contact(seconds, reason) from error
                yield ContactLost(seconds, reason, self._interval.hub_timeout)
                pause = min(delay, max(self._interval.hub_timeout - seconds, 0.0))
                _log.info("the hub does not respond (%s), retrying in %.1f s", reason, pause)
                self._sleep(pause)
                delay = min(delay * BACKOFF, MAX_DELAY)
            else:
                self._has_responded = True
                if failing_since is not None:
                    yield ContactRegained(self._clock() - failing_since)
                yield Responded()
                return response

    def _lost_contact(self, seconds: float, reason: str) -> LostContactError:
        how_long = f" for {seconds:.0f} s" if seconds >= 1 else ""
        state = f"; task {self._task_id} is still running" if self._has_responded else ""
        return LostContactError(
            f"no response from the hub{how_long} ({reason}){state}",
            solution=f"watch task {self._task_id} again later",
        )

    def _note_lost_session(self) -> None:
        """Handle a session unknown to the hub: log in again once, afterwards continue anonymously (reading only).

        :raises koji.AuthError: if the hub does not allow anonymous access
        """
        if not self._session.logged_in:
            raise koji.AuthError("the hub does not allow anonymous access")
        if self._login is None:
            _log.info("the hub no longer knows the session: continuing without a login")
            self._session.setSession(None)
        else:
            self._is_session_lost = True

    def _log_in_again(self) -> None:
        assert self._login is not None, "a session is only marked as lost if it can be renewed"
        try:
            _log.info("the hub no longer knows the session: logging in again")
            self._login()
        except NotAuthenticatedError as error:
            _log.info("continuing without a login: %s", error.reason)
            self._session.setSession(None)
        self._login, self._is_session_lost = None, False
