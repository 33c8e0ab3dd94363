# SPDX-License-Identifier: GPL-2.0-or-later
"""Subscribers to the log of steps: callbacks in this process, and programs that stop at a step."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fedpkg_container import steps

#: Program that runs a module and stops at a step.
_STOPPING = Path(__file__).parents[1] / "programs" / "stop_at_step.py"


class _Subscriber(logging.Handler):
    def __init__(self, callback: Callable[[str], None]) -> None:
        super().__init__()
        self._callback = callback

    def emit(self, record: logging.LogRecord) -> None:
        self._callback(record.__dict__["step"])


@contextmanager
def after_steps(callback: Callable[[str], None]) -> Iterator[None]:
    """Call a function with the name of each step that this process completes; its errors end what is running."""
    subscriber = _Subscriber(callback)
    logger = logging.getLogger(steps.__name__)
    logger.addHandler(subscriber)
    try:
        yield
    finally:
        logger.removeHandler(subscriber)


def paused_at(step: str, mark: Path, module: str) -> list[str | Path]:
    """Return the start of a command that runs a module, and at a step waits while a file exists, which it creates."""
    return [sys.executable, _STOPPING, step, mark, module]


def killed_at(step: str, module: str) -> list[str | Path]:
    """Return the start of a command that runs a module, and at a step ends with status 9, without cleaning up."""
    return [sys.executable, _STOPPING, step, "", module]
