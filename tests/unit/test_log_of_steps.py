# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of steps: tests and sites subscribe to it with a handler."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from fedpkg_container import steps


class _Stop(BaseException):
    """Raised by a subscriber."""


class _Subscriber(logging.Handler):
    """Keeps the records, and stops at one step."""

    def __init__(self, stop_at: str = "") -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._stop_at = stop_at

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        if record.__dict__["step"] == self._stop_at:
            raise _Stop


@pytest.fixture
def subscriber() -> Iterator[_Subscriber]:
    """A handler of the log of steps."""
    handler = _Subscriber(stop_at="imported")
    logger = logging.getLogger(steps.__name__)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_subscriber_gets_every_step_with_its_details(subscriber: _Subscriber) -> None:
    steps.reached("reserved", nvr="hello-web-1-1", build=7)
    steps.reached("built")
    first, second = subscriber.records
    assert (first.__dict__["step"], first.__dict__["details"]) == ("reserved", {"nvr": "hello-web-1-1", "build": 7})
    assert first.getMessage() == "step reserved nvr=hello-web-1-1 build=7"
    assert (first.levelno, second.getMessage()) == (logging.INFO, "step built")


@pytest.mark.parametrize("level", [logging.WARNING, logging.CRITICAL])
def test_a_subscriber_needs_no_level(subscriber: _Subscriber, level: int) -> None:
    parent = logging.getLogger("fedpkg_container")
    before = parent.level
    parent.setLevel(level)
    try:
        steps.reached("built")
    finally:
        parent.setLevel(before)
    assert len(subscriber.records) == 1


def test_a_subscriber_can_stop_a_build(subscriber: _Subscriber) -> None:
    steps.reached("uploaded")
    with pytest.raises(_Stop):
        steps.reached("imported")
