"""What a builder does about the errors of one round of its loop: log them, wait a little longer, continue."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import koji

#: Seconds until the round after one that failed, at first and at most; it doubles with every further failure.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
#: Seconds between two log lines about the same error.
REMINDER = 300.0


class Rounds:
    """Keeps a loop running, as kojid's main loop does, and its log short.

    :param pause: seconds to wait before the next round; 0 after one that went well
    """

    def __init__(self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.pause = 0.0
        self._logger = logger
        self._clock = clock
        self._failures = 0
        self._last = ""
        self._logged = 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Run one round; what it raises is logged.

        :raises koji.AuthError: the session is not accepted any more; another login is needed
        """
        try:
            yield
        except koji.AuthError:
            raise
        except Exception as error:  # noqa: BLE001, as in kojid: no error of one round may end the tasks that run
            self._note(error)
        else:
            if self._failures:
                self._logger.info("works again, after %d failed rounds", self._failures)
            self._failures, self._last, self.pause = 0, "", 0.0

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self.pause = min(self.pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {place.filename}:{place.lineno}"  # messages hold addresses of objects
        if kind != self._last:
            self._logger.error("this round failed, trying again in %g s", self.pause, exc_info=error)
        elif self._clock() - self._logged >= REMINDER:
            self._logger.error("still failing, %d rounds by now: %s", self._failures, error)
        else:
            return
        self._last, self._logged = kind, self._clock()
