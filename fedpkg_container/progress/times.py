"""Lengths of time as people write them."""

from __future__ import annotations

import time


def clock(seconds: float) -> str:
    """Minutes and seconds, ``4:05``; with hours when there are any."""
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def share(elapsed: float, usual: float) -> str:
    """How much of its usual time something has run, ``45%``; empty once it takes longer: nobody knows how long then."""
    part = max(elapsed, 0.0) / usual
    return f"{int(part * 100)}%" if part < 1 else ""


def ago(moment: float, *, now: float | None = None) -> str:
    """How long ago, in its largest unit: ``12 min ago``.

    :param moment: seconds since the epoch
    """
    past = max((time.time() if now is None else now) - moment, 0)
    for unit, seconds in (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400)):
        if past >= seconds:
            number = int(past // seconds)
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    for unit, seconds in (("h", 3600), ("min", 60)):
        if past >= seconds:
            return f"{int(past // seconds)} {unit} ago"
    return "just now"
