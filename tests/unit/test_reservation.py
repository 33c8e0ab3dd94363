# SPDX-License-Identifier: GPL-2.0-or-later
"""Reservations when requests to the hub are lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import koji
import pytest

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.hub.reservation import Reservation, Reservations
from fedpkg_container.model.koji_types import BuildInfo, NewReservation
from fedpkg_container.model.nvr import NVR

NVR_1 = NVR("hello", "1", "1")


class _Hub:
    """A hub on which the first request for a reservation is lost before it arrives."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.attempts = 0
        self._keeps = keeps
        self._build: BuildInfo | None = None

    def getBuild(self, _: str | int) -> BuildInfo | None:
        return self._build

    def CGInitBuild(self, _: str, data: Mapping[str, Any]) -> NewReservation:
        self.attempts += 1
        if self.attempts == 1:
            raise koji.RetryError("no response")
        if self._keeps:
            self._build = {"id": 5, "state": koji.BUILD_STATES["BUILDING"], "extra": data["extra"]}
        return {"build_id": 5, "token": "secret"}


def test_a_lost_request_is_repeated() -> None:
    hub: Any = _Hub()
    assert Reservations(hub, "cg", 7).reserve("hello", "1", "1", "source") == Reservation(NVR_1, 5, "secret")
    assert hub.attempts == 2


def test_a_reservation_that_does_not_exist_is_not_used() -> None:
    hub: Any = _Hub(keeps=False)
    with pytest.raises(BuildFailedError, match="another build has just reserved hello-1-1"):
        Reservations(hub, "cg", 7).reserve("hello", "1", "1", "source")
