"""Selection: which repositories a run is about, and which of them have to be queried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import ConfigurationError, RegistryError, UsageError
from fedpkg_container.model.reference import ImageReference, is_repository
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.clock import Moment
from fedpkg_container.registry.mirror.options import DAY, Options
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.promotion.journal import DONE, Entry
from fedpkg_container.registry.repository import repositories
from fedpkg_container.registry.staging import STAGING
from fedpkg_container.text import printable_line

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


#: Facts: where promote's record ended, which repositories were wanted, when all of them were asked for, and when it was
#: asked what refers to images that are known.
_POSITION, _WANTED, _FULL, REFERRERS = "position", "wanted", "full", "referrers asked for"


@dataclass(frozen=True)
class Scope:
    """Which repositories a run is about.

    :param repositories: all that are wanted
    :param asked: those of which the registry is asked for tags; what is remembered of the others is what they have
    :param is_full: whether those are all
    :param position: where promote's record ends; empty without one
    """

    repositories: tuple[str, ...]
    asked: tuple[str, ...]
    is_full: bool
    position: str

    def done(self, state: State, options: Options, now: Moment) -> None:
        """Remember that all of it could be read."""
        state.facts.update({_POSITION: self.position, _WANTED: _wanted(options)})
        if self.is_full:
            state.note(_FULL, now)


def scope_of(http: RegistryHTTP, options: Options, state: State, now: Moment) -> Scope:
    """What a run is about: all, or what promote's record says was touched since the last run that was complete.

    All are looked at once a day in any case, for what was changed without promote.

    :raises RegistryError: the registry cannot be reached, refuses, or has no repositories at all
    """
    recorded = changes(options.record, state.facts.get(_POSITION, "")) if options.record else None
    position = recorded.position if recorded else ""
    if recorded and recorded.repositories is not None and not options.full and _is_fresh(state, options, now):
        touched = {name for name in recorded.repositories if options.wants(name)}
        known = {name for name in state.tags if options.wants(name)} | touched
        return Scope(tuple(sorted(known)), tuple(sorted(touched)), is_full=False, position=position)
    names = tuple(sorted(_listed(http, options)))
    return Scope(names, names, is_full=True, position=position)


def is_due(state: State, fact: str, now: Moment) -> bool:
    """Whether what is done once a day has not been done for a day."""
    last = state.moment(fact)
    return last is None or last.boot != now.boot or now.since(last, longest=DAY) >= DAY


def _is_fresh(state: State, options: Options, now: Moment) -> bool:
    return state.facts.get(_WANTED) == _wanted(options) and not is_due(state, _FULL, now)


def _wanted(options: Options) -> str:
    return json.dumps([options.prefix, *sorted(options.repositories)])


def _listed(http: RegistryHTTP, options: Options) -> set[str]:
    """The repositories that are wanted; the catalog is needed only where they are not all named."""
    if all(map(is_repository, options.repositories)):
        return {name for name in options.repositories if options.wants(name)}
    found = set(repositories(http))
    if not found:
        raise RegistryError(f"{http.host} lists no repositories at all, so nothing is changed")
    wanted = {name for name in found if options.wants(name) and name.partition("/")[0] != STAGING}
    if not wanted:
        below = f" below {options.prefix}" if options.prefix else ""
        patterns = " ".join(map(printable_line, options.repositories))
        raise RegistryError(f"no repository of {http.host}{below} is like {patterns}; it has {len(found)}")
    return wanted
