"""Doing again what a registry could not do in this moment: it restarts, or a proxy before it does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, before_sleep_log, retry_if_exception_type, stop_after_delay, wait_exponential

from fedpkg_container.errors import RegistryUnavailableError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

#: Seconds until the second attempt, and the most between two; each pause is twice the one before.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0


def patiently(act: Callable[[], Result], patience: float) -> Result:
    """Do something that may be done twice, until it works.

    :param patience: seconds after which no further attempt is begun; 0 for one attempt
    :raises RegistryUnavailableError: the registry is still not there, or still broken
    """
    attempts = Retrying(
        retry=retry_if_exception_type(RegistryUnavailableError),
        wait=wait_exponential(FIRST_PAUSE, max=LONGEST_PAUSE),
        stop=stop_after_delay(patience),
        before_sleep=before_sleep_log(logger, logging.INFO),
        reraise=True,
    )
    return attempts(act)
