# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading of free-form data that other programs wrote, e.g. ``extra`` of builds: values of other types are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Maximum ID in Koji's database.
MAX_ID = 2**31 - 1


def mapping(value: object) -> Any:
    """Return a value if it is a mapping, otherwise an empty one; typed by the caller."""
    return value if isinstance(value, Mapping) else {}


def is_id(value: object) -> bool:
    """Return whether a value can be the ID of a row of Koji's database."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID


def items(value: object) -> Any:
    """Return a value if it is a list, otherwise an empty one; typed by the caller."""
    return value if isinstance(value, (list, tuple)) else []
