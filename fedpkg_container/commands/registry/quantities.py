"""Numbers and folders on the command line: each is refused with what it should be."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from fedpkg_container.settings import size_of

_DAYS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,6})?", re.ASCII)


def folder(text: str) -> Path:
    """A folder; not the one in which somebody happens to be, because a variable is empty."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty, and not the name of a folder")
    return Path(text)


def whole_days(text: str) -> int:
    """One day, or more."""
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if days < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, 1 or more")
    return days


def days(text: str) -> float:
    """Days and parts of days, from none to a hundred years."""
    if not _DAYS.fullmatch(text) or float(text) >= 36500:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, such as 7 or 0.5")
    return float(text)


def parallel(text: str) -> int:
    """How much is done at the same time."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 100")
    return number


def size(text: str) -> int:
    """Bytes."""
    found = size_of(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 500K or 20M")
    return found
