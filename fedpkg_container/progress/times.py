"""Lengths of time as people write them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """Minutes and seconds, ``4:05``; with hours when there are any."""
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def spoken(seconds: float) -> str:
    """About how long: ``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 days``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    if whole < 2 * 86400:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")
    return f"{whole // 86400} days"
