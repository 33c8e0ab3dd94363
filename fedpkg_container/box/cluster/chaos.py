# SPDX-License-Identifier: GPL-2.0-or-later
"""Switches for faults of the simulated cluster."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Chaos:
    """Faults that clusters have (a3, a4); all are off by default.

    :param away: the API server drops every connection
    :param status: HTTP status of all requests, e.g. 503; 0 for none
    :param unavailable: requests that get HTTP 503: method, resource with subresource
    :param lost_responses: requests that are executed but get no response: method, resource
    :param cut_log_after: lines of a log after which a connection breaks in the middle of a line; once per entry
    :param quota: message of the quota that refuses pods
    :param admission: message of the admission plugin that refuses pods
    :param unknown_images: images that cannot be pulled
    """

    away: bool = False
    status: int = 0
    unavailable: set[tuple[str, str]] = field(default_factory=set)
    lost_responses: list[tuple[str, str]] = field(default_factory=list)
    cut_log_after: list[int] = field(default_factory=list)
    quota: str = ""
    admission: str = ""
    unknown_images: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        #: Ends all open streams once: watches and logs.
        self.restarts = 0

    def loses_response(self, method: str, resource: str) -> bool:
        """Whether the response to a request is lost, once per entry."""
        with self._lock:
            if (method, resource) in self.lost_responses:
                self.lost_responses.remove((method, resource))
                return True
        return False

    def next_cut(self) -> int:
        """Return after how many lines a log connection breaks; 0 for never."""
        with self._lock:
            return self.cut_log_after.pop(0) if self.cut_log_after else 0

    def restart(self) -> None:
        """End all open streams, as a restart of the API server does."""
        self.restarts += 1
