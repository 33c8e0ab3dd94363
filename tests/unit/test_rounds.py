# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of a builder's loop: which of them end it, and how much of them is logged."""

from __future__ import annotations

import logging

import koji
import pytest
import requests

from fedpkg_container.box.builder import LONGEST_PAUSE, REMINDER, Rounds


@pytest.fixture
def rounds(caplog: pytest.LogCaptureFixture) -> Rounds:
    caplog.set_level(logging.INFO)
    return Rounds(logging.getLogger("builder"))


def _round(rounds: Rounds, error: BaseException | None = None) -> None:
    with rounds.one():
        if error is not None:
            raise error


@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid continuation byte"),
        requests.exceptions.ConnectionError("connection refused"),
        koji.GenericError("Invalid task 1"),
        koji.ServerOffline("maintenance"),
        OSError(2, "No such file or directory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_loop_continues(rounds: Rounds, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    _round(rounds, error)
    assert rounds.pause > 0
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    _round(rounds)
    assert rounds.pause == 0
    assert caplog.messages[-1] == "works again, after 1 failed rounds"


@pytest.mark.parametrize(
    "error",
    [
        koji.AuthError("Invalid session"),
        koji.AuthExpired("expired"),
        koji.RetryError("twice"),
        SystemExit(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_loop_ends(rounds: Rounds, error: BaseException) -> None:
    with pytest.raises(type(error)):
        _round(rounds, error)


def test_an_error_that_lasts_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    rounds = Rounds(logging.getLogger("builder"), clock=lambda: now)
    for number in range(1000):
        _round(rounds, OSError(f"<object at 0x{number}>"))
        now += rounds.pause
    assert rounds.pause == LONGEST_PAUSE
    assert len(caplog.records) <= 2 + now / REMINDER
    assert [bool(record.exc_info) for record in caplog.records].count(True) == 1
    _round(rounds, ValueError("another one"))
    assert caplog.records[-1].exc_info
