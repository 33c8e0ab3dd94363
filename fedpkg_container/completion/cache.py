"""Files below the user's cache folder: JSON, replaced in one step, ignored when they are not what was written."""

from __future__ import annotations

import json
import os
from typing import Any

#: Longer files are not ours.
MAX_BYTES = 16 * 1024 * 1024

Data = dict[str, Any]


def directory(*parts: str) -> str:
    """Where the cache is: ``$XDG_CACHE_HOME/fedpkg-container``, or a place below it.

    :param parts: names, made safe for paths here
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as the XDG specification has it
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "fedpkg-container", *(_safe(part) for part in parts))


def _safe(name: str) -> str:
    """A name that stays in its folder."""
    kept = "".join(letter if letter.isalnum() or letter in "._+-" else "_" for letter in name)[:120]
    return kept if kept.strip(".") else "_"


def read(path: str) -> Data:
    """What was written there; empty when there is nothing, or nothing that can be used."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES)
        data = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def write(path: str, data: Data) -> None:
    """Replace a file in one step, readable by its owner alone.

    :raises OSError: there is no place to write to
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
    """Seconds since a file was written; infinite when it is missing or from the future."""
    try:
        seconds = now - os.stat(path).st_mtime
    except OSError:
        return float("inf")
    return seconds if seconds >= 0 else float("inf")
