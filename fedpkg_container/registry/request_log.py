# SPDX-License-Identifier: GPL-2.0-or-later
"""Log of HTTP requests: method, host, path, status and duration, without query strings and headers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fedpkg_container.redaction import host_and_path

_log = logging.getLogger(__name__)


class Outcome:
    """The part of the response to a request that is logged."""

    def __init__(self) -> None:
        self._text = ""

    def set(self, status: int) -> None:
        """Set it from the status of a response."""
        self._text = f"HTTP {status}"

    def __str__(self) -> str:
        return self._text


@contextmanager
def logged_request(method: str, url: str) -> Iterator[Outcome]:
    """Log the request that is sent in the block, at DEBUG; the duration ends at the start of the response."""
    started, outcome, failure = time.monotonic(), Outcome(), "no response"
    try:
        yield outcome
    except BaseException as error:
        failure = type(error).__name__  # its message contains the whole URL
        raise
    finally:
        if _log.isEnabledFor(logging.DEBUG):
            seconds, (host, path) = time.monotonic() - started, host_and_path(url)
            _log.debug("%s %s %s: %s after %.3f s", method, host, path, str(outcome) or failure, seconds)
