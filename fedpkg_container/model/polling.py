"""Polling interval of the hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Polling intervals and timeouts, in seconds.

    :param tick: shortest polling interval, used while states or logs are changing
    :param slowest: longest polling interval, reached while nothing changes
    :param hub_timeout: how long to retry requests to an unresponsive hub
    :param waiting: how long a task may wait for a builder before the builders are checked, and interval of that check
    """

    tick: float = 1.0
    slowest: float = 5.0
    hub_timeout: float = 600.0
    waiting: float = 60.0


USUAL = Pace()
