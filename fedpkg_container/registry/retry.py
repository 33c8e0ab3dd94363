"""Doing again what a registry could not do in this moment: it restarts, or a proxy before it does."""

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
#: Of this thread: whether something is being done patiently.
_own = threading.local()

#: Seconds until the second attempt, and the most between two; each pause is twice the one before.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0
#: A registry may ask for longer pauses (``Retry-After``), but not for longer than this, seconds.
LONGEST_ASKED = 120.0
#: Seconds that may be waited without a word.
QUIET = 2.0


def patiently(
    act: Callable[[], Result],
    patience: float,
    *,
    attempts: int = 1,
    abandoned: threading.Event | None = None,
    told: Callable[[RegistryUnavailableError], None] = lambda _: None,
) -> Result:
    """Do something that may be done twice, until it works.

    What it does patiently itself, in the same thread, is done once: all is done again, or each would be for each time.

    :param patience: seconds after which no further attempt is begun
    :param attempts: how many are made at least
    :param abandoned: once it is set, nothing is waited for any more
    :param told: called before each pause, once it takes longer than a moment, with why it has to wait
    :raises RegistryUnavailableError: the registry is still not there, or still broken
    """
    if getattr(_own, "is_patient", False):
        return act()
    event = abandoned or threading.Event()

    def pausing(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.info("asked again in %.1f s: %s", state.upcoming_sleep, error)
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
    """Seconds until the next attempt: what the registry asks for, or longer and longer; never all clients at once."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RegistryUnavailableError) else 0.0
    growing = wait_exponential(FIRST_PAUSE, max=LONGEST_PAUSE) + wait_random(0, FIRST_PAUSE / 4)
    return max(asked, growing(state))
