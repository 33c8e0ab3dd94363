"""Registries that are asked again, and tasks that look whether they were canceled."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.hub.cancellation import Cancellation
from fedpkg_container.registry import retry
from fedpkg_container.registry.retry import patiently
from fedpkg_container.signals import Interrupted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a hundredth of a second."""
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retry, "LONGEST_PAUSE", 0.02)


def _failing(times: int, error: RegistryError) -> tuple[Any, list[int]]:
    attempts: list[int] = []

    def act() -> str:
        attempts.append(1)
        if len(attempts) <= times:
            raise error
        return "done"

    return act, attempts


def test_a_registry_that_comes_back() -> None:
    act, attempts = _failing(3, RegistryUnavailableError("away"))
    assert patiently(act, 5) == "done"
    assert len(attempts) == 4


def test_a_registry_that_stays_away() -> None:
    act, attempts = _failing(1000, RegistryUnavailableError("away"))
    with pytest.raises(RegistryUnavailableError, match="away"):
        patiently(act, 0.2)
    assert 3 < len(attempts) < 40


def test_no_patience_is_one_attempt() -> None:
    act, attempts = _failing(1, RegistryUnavailableError("away"))
    with pytest.raises(RegistryUnavailableError):
        patiently(act, 0)
    assert len(attempts) == 1


@pytest.mark.parametrize("error", [RegistryError("refused"), NoSuchImageError("missing")])
def test_what_stays_wrong_is_not_tried_again(error: RegistryError) -> None:
    act, attempts = _failing(1, error)
    with pytest.raises(type(error)):
        patiently(act, 5)
    assert len(attempts) == 1


class _Hub:
    """A hub that says of a task what it is told to say."""

    def __init__(self) -> None:
        self.state = koji.TASK_STATES["OPEN"]
        self.asked = 0

    def getTaskInfo(self, _: int) -> dict[str, Any]:
        self.asked += 1
        return {"state": self.state}


def test_a_task_that_was_canceled_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = _Hub()
    cancellation = Cancellation(hub, 1)
    cancellation.check()
    hub.state = koji.TASK_STATES["CANCELED"]
    cancellation.check()
    assert hub.asked == 1, "it asks now and then only"
    monkeypatch.setattr("fedpkg_container.hub.cancellation.INTERVAL", 0.0)
    cancellation._next = 0.0
    with pytest.raises(Interrupted, match="canceled"):
        cancellation.check()
