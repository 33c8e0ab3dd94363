# SPDX-License-Identifier: GPL-2.0-or-later
"""Formatting shared by renderers: colors and times."""

from __future__ import annotations

import os
import re
import time
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that interprets control sequences."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def uses_color(stream: TextIO) -> bool:
    """Whether text in a stream is colored: with CLICOLOR_FORCE, or on a terminal; not with NO_COLOR or CLICOLOR=0."""
    variables = os.environ
    if variables.get("NO_COLOR"):
        return False
    if variables.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return variables.get("CLICOLOR") != "0" and is_terminal(stream)


#: URLs that may be a link: without control characters, spaces and user names.
_LINKED = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:[/?#][!-~]*)?")


def link(text: str, url: str, stream: TextIO) -> str:
    """Return text as a link (OSC 8) if the stream is a terminal and the URL is a plain http or https URL."""
    if not is_terminal(stream) or os.environ.get("TERM") == "linux" or not is_plain_url(url):
        return text
    return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\"


def is_plain_url(url: str) -> bool:
    """Whether a URL can be a link in a terminal."""
    return _LINKED.fullmatch(url) is not None


class Style:
    """Colors for text, if the stream uses them.

    :param stream: the stream that the text is written to
    """

    def __init__(self, stream: TextIO) -> None:
        self.enabled = uses_color(stream)

    def _sgr(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.enabled else text

    def bad(self, text: str) -> str:
        """Format an error or a failure."""
        return self._sgr("1;31", text)

    def good(self, text: str) -> str:
        """Format a success."""
        return self._sgr("1;32", text)

    def warning(self, text: str) -> str:
        """Format a warning."""
        return self._sgr("33", text)

    def strong(self, text: str) -> str:
        """Emphasize text."""
        return self._sgr("1", text)


def format_clock(seconds: float) -> str:
    """Return minutes and seconds (``4:05``), with hours if there are any (``1:04:05``)."""
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def format_percentage(elapsed: float, average: float) -> str:
    """Return the elapsed part of the average duration (``45%``); empty if it is exceeded, since no estimate holds."""
    fraction = max(elapsed, 0.0) / average
    return f"{int(fraction * 100)}%" if fraction < 1 else ""


def format_age(timestamp: float, *, now: float | None = None) -> str:
    """Return the time since a point in time, in its largest unit: ``12 min ago``.

    :param timestamp: seconds since the epoch
    """
    age = max((time.time() if now is None else now) - timestamp, 0)
    for unit, seconds in (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400)):
        if age >= seconds:
            number = int(age // seconds)
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    for unit, seconds in (("h", 3600), ("min", 60)):
        if age >= seconds:
            return f"{int(age // seconds)} {unit} ago"
    return "just now"
