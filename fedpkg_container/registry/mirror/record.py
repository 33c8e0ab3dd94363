"""What ``promote`` changed since a run: its record tells, so that not every tag has to be asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.registry.digests import digest_of

#: Bytes before a position that must be the same as they were.
_BEFORE = 4096


@dataclass(frozen=True)
class Changes:
    """What a record says.

    :param repositories: those that were touched since; None when it cannot tell
    :param position: where it ends now; a text that is to be kept for the next time
    """

    repositories: frozenset[str] | None
    position: str


def changes(record: Path, position: str) -> Changes:
    """What was recorded since a position: each line is a JSON object that names the ``repository`` that it touched.

    It cannot be told when there is no position yet, when the file is another one than it was, or when a line cannot be
    read. A line that is being written at this moment belongs to the next time.

    :param position: what the last complete run kept; empty for none
    """
    try:
        with record.open("rb") as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
    content = content[: content.rfind(b"\n") + 1]
    end = _position(content)
    start = int(position.partition(" ")[0] or 0)
    if not position or start > len(content) or _position(content[:start]) != position:
        return Changes(None, end)
    touched = set()
    for line in content[start:].splitlines():
        try:
            touched.add(str(json.loads(line)["repository"]))
        except (ValueError, LookupError, TypeError):
            return Changes(None, end)
    return Changes(frozenset(touched), end)


def _position(content: bytes) -> str:
    return f"{len(content)} {digest_of(content[-_BEFORE:])}"
