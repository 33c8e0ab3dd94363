# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of the requests to a hub: names, outcome, duration and attempts, without parameters and results."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import koji
import pytest
import requests

from fedpkg_container.hub.call_log import MAX_NAMES, log_calls

SECRET = "Pl4nt3d"
URL = f"https://user:{SECRET}@hub.example.org/kojihub?token={SECRET}"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes a session whose requests have the given responses or errors, one after the other."""

    def make(*responses: Any, **options: Any) -> Any:
        pending = list(responses)

        def send(*_: Any) -> Any:
            response = pending.pop(0)
            if isinstance(response, Exception):
                raise response
            return response

        made = koji.ClientSession(URL, {"retry_interval": 0, "anon_retry": True, **options})
        monkeypatch.setattr(made, "_sendCall", send)
        return log_calls(log_calls(made))  # again: nothing is logged twice

    return make


def _messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The records without durations, all but secrets."""
    assert SECRET not in "".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    return [re.sub(r"[0-9.]+ s\b", "T s", f"{record.levelname} {record.getMessage()}") for record in caplog.records]


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="fedpkg_container")


def test_a_call_is_logged_without_parameters_and_result(
    session: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert session({"token": SECRET}).CGInitBuild("generator", {"key": SECRET}) == {"token": SECRET}
    assert _messages(caplog) == ["DEBUG CGInitBuild to hub.example.org/kojihub: ok after T s"]


def test_a_fault_is_logged_by_its_type(session: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    fault = koji.xmlrpcplus.Fault(koji.ActionNotAllowed.faultCode, f"policy {SECRET}")
    with pytest.raises(koji.ActionNotAllowed):
        session(fault).buildContainer("source")
    assert _messages(caplog) == ["DEBUG buildContainer to hub.example.org/kojihub: ActionNotAllowed after T s"]


def test_a_request_that_is_retried_is_a_warning(session: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    error = requests.ConnectionError(f"refused {SECRET}")
    assert session(error, error, 7).getAPIVersion() == 7
    assert _messages(caplog) == [
        "DEBUG getAPIVersion to hub.example.org/kojihub: ok after T s",
        "WARNING getAPIVersion to hub.example.org/kojihub took 3 attempts, T s: ok",
    ]


def test_a_lost_connection(session: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(requests.ConnectionError):
        session(requests.ConnectionError(SECRET), anon_retry=False).getAPIVersion()
    assert _messages(caplog) == ["DEBUG getAPIVersion to hub.example.org/kojihub: ConnectionError after T s"]


def test_the_calls_of_a_multicall_are_named(session: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    made = session([[1], [2], [3]])
    with made.multicall() as calls:
        calls.getTag(1)
        calls.getHost(1)
        calls.getHost(2)
    assert _messages(caplog) == ["DEBUG multiCall (getTag, getHost 2 times) to hub.example.org/kojihub: ok after T s"]


def test_of_many_names_the_first_are_logged(session: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    made = session([[each] for each in range(MAX_NAMES + 3)])
    with made.multicall() as calls:
        for number in range(MAX_NAMES + 3):
            getattr(calls, f"call{number}")()
    assert f"call{MAX_NAMES - 1}, 3 more) to" in _messages(caplog)[0]


def test_other_sessions_are_left_alone() -> None:
    other = object()
    assert log_calls(other) is other
