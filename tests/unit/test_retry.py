# SPDX-License-Identifier: GPL-2.0-or-later
"""Retries while a registry is unavailable, and polling for cancellation of a task."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.hub.cancellation import Cancellation
from fedpkg_container.registry.retry import retry
from fedpkg_container.signals import Interrupted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a hundredth of a second."""
    monkeypatch.setattr("fedpkg_container.registry.retry.INITIAL_BACKOFF", 0.01)
    monkeypatch.setattr("fedpkg_container.registry.retry.MAX_BACKOFF", 0.02)


def _failing(times: int, error: RegistryError) -> tuple[Any, list[int]]:
    attempts: list[int] = []

    def act() -> str:
        attempts.append(1)
        if len(attempts) <= times:
            raise error
        return "done"

    return act, attempts


def test_registry_becomes_available() -> None:
    act, attempts = _failing(3, RegistryUnavailableError("away"))
    assert retry(act, 5) == "done"
    assert len(attempts) == 4


def test_registry_stays_unavailable() -> None:
    act, attempts = _failing(1000, RegistryUnavailableError("away"))
    with pytest.raises(RegistryUnavailableError, match="away"):
        retry(act, 0.2)
    assert 3 < len(attempts) < 40


def test_zero_timeout_is_one_attempt() -> None:
    act, attempts = _failing(1, RegistryUnavailableError("away"))
    with pytest.raises(RegistryUnavailableError):
        retry(act, 0)
    assert len(attempts) == 1


@pytest.mark.parametrize("error", [RegistryError("refused"), NoSuchImageError("missing")])
def test_permanent_errors_are_not_retried(error: RegistryError) -> None:
    act, attempts = _failing(1, error)
    with pytest.raises(type(error)):
        retry(act, 5)
    assert len(attempts) == 1


class _Hub:
    """A hub that returns a given state of a task."""

    def __init__(self) -> None:
        self.state = koji.TASK_STATES["OPEN"]
        self.asked = 0

    def getTaskInfo(self, _: int) -> dict[str, Any]:
        self.asked += 1
        return {"state": self.state}


def test_canceled_task_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    hub: Any = _Hub()
    cancellation = Cancellation(hub, 1)
    cancellation.check()
    hub.state = koji.TASK_STATES["CANCELED"]
    cancellation.check()
    assert hub.asked == 1, "it polls only now and then"
    monkeypatch.setattr("fedpkg_container.hub.cancellation.CHECK_INTERVAL", 0.0)
    cancellation._next = 0.0
    with pytest.raises(Interrupted, match="canceled"):
        cancellation.check()
