# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON files in the user's cache directory: written atomically, and ignored if they are invalid."""

from __future__ import annotations

import json
import os
from typing import Any

#: Larger files are ignored.
MAX_BYTES = 16 * 1024 * 1024

Data = dict[str, Any]


def directory(*parts: str) -> str:
    """Return the cache directory ``$XDG_CACHE_HOME/fedpkg-container``, or a path below it.

    :param parts: file names; unsafe characters are replaced
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # relative paths are invalid by the XDG specification
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "fedpkg-container", *(_safe(part) for part in parts))


def _safe(name: str) -> str:
    """Return a name that cannot leave its directory."""
    safe = "".join(letter if letter.isalnum() or letter in "._+-" else "_" for letter in name)[:120]
    return safe if safe.strip(".") else "_"


def read(path: str) -> Data:
    """Read a file; return an empty dictionary if it is missing or invalid."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES)
        data = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def write(path: str, data: Data) -> None:
    """Write a file atomically, readable by its owner only.

    :raises OSError: if it cannot be written
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            json.dump(data, file)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise


def age(path: str, now: float) -> float:
    """Return the age of a file in seconds; infinite if it is missing or from the future."""
    try:
        seconds = now - os.stat(path).st_mtime
    except OSError:
        return float("inf")
    return seconds if seconds >= 0 else float("inf")
