# SPDX-License-Identifier: GPL-2.0-or-later
"""Retrying operations while a registry is temporarily unavailable, with exponential backoff."""

from __future__ import annotations

import logging
import threading
import time
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

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
#: Per thread: whether an operation is being retried.
_thread = threading.local()

#: Backoff: seconds before the second attempt, doubled each time, and the maximum.
INITIAL_BACKOFF = 1.0
MAX_BACKOFF = 15.0
#: Maximum ``Retry-After`` that is honored, seconds; with a longer one the operation fails at once.
MAX_RETRY_AFTER = 120.0
#: What is honored in any case if an operation has several attempts: about the time of five of them, seconds.
MIN_RETRY_AFTER = 15.0
#: Backoff of ``wait_until``: seconds before the second check, doubled each time, and the maximum.
FIRST_CHECK = 0.1
MAX_CHECK = 5.0
#: Seconds of waiting before the first notification.
NOTIFY_AFTER = 2.0


def retry(
    operation: Callable[[], Result],
    timeout: float,
    *,
    attempts: int = 1,
    canceled: threading.Event | None = None,
    on_wait: Callable[[RegistryUnavailableError], None] = lambda _: None,
) -> Result:
    """Run an idempotent operation, and retry it while the registry is unavailable.

    A nested call in the same thread runs its operation once: the outer call retries the whole.

    :param timeout: seconds after which no further attempt is started. If the registry requests a longer wait
        (Retry-After), the operation fails at once
    :param attempts: minimum number of attempts
    :param canceled: when set, no further attempt is started
    :param on_wait: called with the error before each pause, once the total wait exceeds ``NOTIFY_AFTER``
    :raises RegistryUnavailableError: if the registry is still unavailable
    """
    if getattr(_thread, "is_retrying", False):
        return operation()
    event = canceled or threading.Event()
    longest = min(max(timeout, MIN_RETRY_AFTER), MAX_RETRY_AFTER)

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        _log.info("attempt %d failed, retrying in %.1f s: %s", state.attempt_number, pause, error)
        if isinstance(error, RegistryUnavailableError) and state.idle_for + pause > NOTIFY_AFTER:
            on_wait(error)

    retrying = Retrying(
        retry=retry_if_exception(lambda error: _is_temporary(error, longest)),
        wait=_backoff,
        sleep=sleep_using_event(event),
        stop=stop_any(stop_when_event_set(event), stop_all(stop_after_delay(timeout), stop_after_attempt(attempts))),
        before_sleep=before_sleep,
        reraise=True,
    )
    _thread.is_retrying = True
    try:
        return retrying(operation)
    finally:
        _thread.is_retrying = False


def wait_until(condition: Callable[[], bool], timeout: float, *, canceled: threading.Event | None = None) -> bool:
    """Check a condition until it is true, with exponential backoff; return whether it became true.

    :param timeout: seconds; the condition is checked at least once
    :param canceled: when set, it is not checked again
    """
    event, deadline, pause = canceled or threading.Event(), time.monotonic() + timeout, FIRST_CHECK
    while not condition():
        remaining = deadline - time.monotonic()
        if remaining <= 0 or event.wait(min(pause, remaining)):
            return False
        pause = min(2 * pause, MAX_CHECK)
    return True


def _is_temporary(error: BaseException, longest_wait: float) -> bool:
    return isinstance(error, RegistryUnavailableError) and error.retry_after <= longest_wait


def _backoff(retry_state: RetryCallState) -> float:
    """Return the seconds until the next attempt: ``Retry-After``, or exponential backoff with jitter.

    :param retry_state: tenacity 8.0 passes it by this name
    """
    error = retry_state.outcome.exception() if retry_state.outcome else None
    retry_after = error.retry_after if isinstance(error, RegistryUnavailableError) else 0.0
    backoff = wait_exponential(INITIAL_BACKOFF, max=MAX_BACKOFF) + wait_random(0, INITIAL_BACKOFF / 4)
    return max(retry_after, backoff(retry_state))
