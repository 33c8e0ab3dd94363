"""Retrying operations while a registry is temporarily unavailable, with exponential backoff."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    stop_any,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from fedpkg_container.errors import RegistryUnavailableError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
#: Per thread: whether an operation is being retried.
_own = threading.local()

#: Backoff: seconds before the second attempt, doubled each time, and the maximum.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0
#: Maximum ``Retry-After`` that is honored, seconds; with a longer one the operation fails at once.
LONGEST_ASKED = 120.0
#: Seconds of waiting before the first notification.
QUIET = 2.0


def patiently(
    act: Callable[[], Result],
    patience: float,
    *,
    attempts: int = 1,
    abandoned: threading.Event | None = None,
    told: Callable[[RegistryUnavailableError], None] = lambda _: None,
) -> Result:
    """Run an idempotent operation, and retry it while the registry is unavailable.

    A nested call in the same thread runs its operation once: the outer call retries the whole.

    :param timeout: seconds after which no further attempt is started
    :param attempts: minimum number of attempts
    :param canceled: when set, no further attempt is started
    :param on_wait: called with the error before each pause, once the total wait exceeds ``QUIET``
    :raises RegistryUnavailableError: if the registry is still unavailable
    """
    if getattr(_own, "is_patient", False):
        return act()
    event = abandoned or threading.Event()

    def pausing(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.info("retrying in %.1f s: %s", state.upcoming_sleep, error)
        if isinstance(error, RegistryUnavailableError) and state.idle_for + state.upcoming_sleep > QUIET:
            told(error)

    retrying = Retrying(
        retry=retry_if_exception(_may_be_otherwise),
        wait=_pause,
        sleep=sleep_using_event(event),
        stop=stop_any(stop_when_event_set(event), stop_all(stop_after_delay(patience), stop_after_attempt(attempts))),
        before_sleep=pausing,
        reraise=True,
    )
    _own.is_patient = True
    try:
        return retrying(act)
    finally:
        _own.is_patient = False


def _may_be_otherwise(error: BaseException) -> bool:
    return isinstance(error, RegistryUnavailableError) and error.retry_after <= LONGEST_ASKED


def _pause(state: RetryCallState) -> float:
    """Return the seconds until the next attempt: ``Retry-After``, or exponential backoff with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RegistryUnavailableError) else 0.0
    growing = wait_exponential(FIRST_PAUSE, max=LONGEST_PAUSE) + wait_random(0, FIRST_PAUSE / 4)
    return max(asked, growing(state))
