# SPDX-License-Identifier: GPL-2.0-or-later
"""Polling interval of the hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PollInterval:
    """Polling intervals and timeouts, in seconds.

    :param minimum: shortest polling interval, used while states or logs are changing
    :param maximum: longest polling interval, reached while nothing changes
    :param hub_timeout: how long to retry requests to an unresponsive hub
    :param builder_check: wait of a task before the builders are checked, and interval of that check
    """

    minimum: float = 1.0
    maximum: float = 5.0
    hub_timeout: float = 600.0
    builder_check: float = 60.0


DEFAULT_POLL_INTERVAL = PollInterval()
