# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for conditions: long enough for a busy machine, and no longer than needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

#: Timeout for a condition, seconds. Where the product promises a short time, tests have a separate limit.
PATIENCE = 240.0


def slowed(seconds: float) -> float:
    """Return a time that suffices on an idle machine, scaled for this one: longer while it is busy."""
    return seconds * max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def eventually(condition: Callable[[], bool], state: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Assert that a condition becomes true before a deadline.

    :param state: shown on failure
    """
    deadline = time.monotonic() + seconds
    pause = 0.01
    while not condition():
        assert time.monotonic() < deadline, state()
        time.sleep(pause)
        pause = min(2 * pause, 0.2)
