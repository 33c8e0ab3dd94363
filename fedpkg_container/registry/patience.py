"""Doing again what a registry could not do in this moment: it restarts, or a proxy before it does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

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
    deadline, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        try:
            return act()
        except RegistryUnavailableError as error:
            if time.monotonic() + pause > deadline:
                raise
            logger.info("%s; again in %g s", error.reason, pause)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
