"""A limit of bytes a second for all threads together: a token bucket that holds one second."""

from __future__ import annotations

import threading
import time


class Throttle:
    """Bytes a second; for several threads.

    :param rate: 0 for no limit
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        #: When all that was taken so far has been paid for; up to a second in the past, by the monotonic clock.
        self._paid = 0.0

    def take(self, size: int, stop: threading.Event) -> None:
        """Wait until so many bytes may have come, or until stopped."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._paid = max(self._paid, now - 1.0) + size / self._rate
            pause = self._paid - now
        if pause > 0:
            stop.wait(pause)
