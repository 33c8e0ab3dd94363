"""Waiting for what has to come: long enough for a machine that is busy with much else, and no longer than needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

#: Seconds that a test waits for what has to come. What the product promises to do soon has a time limit of its own.
PATIENCE = 240.0


def slowed(seconds: float) -> float:
    """Return a time that is enough on an idle machine, as it is enough on this one: longer while it is busy."""
    return seconds * max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def eventually(condition: Callable[[], bool], state: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Assert that a condition comes true before a deadline.

    :param state: what to show when it does not
    """
    deadline = time.monotonic() + seconds
    pause = 0.01
    while not condition():
        assert time.monotonic() < deadline, state()
        time.sleep(pause)
        pause = min(2 * pause, 0.2)
