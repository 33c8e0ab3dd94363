"""What ``promote`` and ``unpromote`` changed since a run, from their record: not every tag has to be asked for then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.promotion.record import DONE, Entry

#: Bytes before a position that must be the same as they were.
_BEFORE = 4096


@dataclass(frozen=True)
class Changes:
    """What a record says.

    :param repositories: those that were touched since, and those of which a change has begun and has not been seen to
        end; None when it cannot tell
    :param position: where it ends now; a text that is to be kept for the next time
    """

    repositories: frozenset[str] | None
    position: str


def changes(record: Path, position: str) -> Changes:
    """What was recorded since a position.

    The registries that lines name do not matter: a mirror may know its own by another name, under which it is not sent
    on to mirrors. A repository of that name is asked for in vain at the worst.

    It cannot be told when there is no position yet, when the file is another one than it was, or when a line cannot be
    read. A line that is being written at this moment belongs to the next time.

    :param position: what the last complete run kept; empty for none
    :raises ConfigurationError: the file cannot be read
    """
    try:
        with record.open("rb") as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise ConfigurationError(
            f"the record {record} cannot be read: {error.strerror}",
            solution="let this user read it, or name no record in the file of this machine",
        ) from error
    content = content[: content.rfind(b"\n") + 1]
    end = _position(content)
    start = int(position.partition(" ")[0] or 0)
    if not position or start > len(content) or _position(content[:start]) != position:
        return Changes(None, end)
    try:
        touched = {_repository(Entry.read(line)) for line in content[start:].splitlines()}
        begun = {entry.id: entry for entry in map(Entry.read, content.splitlines())}  # of each change its last line
        touched |= {_repository(entry) for entry in begun.values() if entry.state != DONE}
    except (ValueError, UsageError):
        return Changes(None, end)
    return Changes(frozenset(touched), end)


def _repository(entry: Entry) -> str:
    return ImageReference.parse(entry.repository).repository


def _position(content: bytes) -> str:
    return f"{len(content)} {digest_of(content[-_BEFORE:])}"
