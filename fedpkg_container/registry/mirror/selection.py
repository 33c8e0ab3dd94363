"""Selection of the repositories for a run: all, or those changed according to the promotion journal."""

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

#: Bytes before a journal position that must be unchanged.
_BEFORE = 4096


@dataclass(frozen=True)
class Changes:
    """Changes according to the journal.

    :param repositories: repositories with new or unfinished entries; None if this cannot be determined
    :param position: end of the journal, to be stored for the next run
    """

    repositories: frozenset[str] | None
    position: str


def changes(record: Path, position: str) -> Changes:
    """Return the repositories changed since a position of the journal.

    The registry in an entry is ignored, because the mirror may use another name for it, which is not redirected to
    mirrors. At worst a repository of the same name is queried in vain.

    The result is undetermined without a position, if the file was replaced, or if a line is invalid. An incomplete last
    line is left for the next run.

    :param position: stored by the last complete run; empty for none
    :raises ConfigurationError: if the file cannot be read
    """
    try:
        with record.open("rb") as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise ConfigurationError(
            f"the promotion journal {record} cannot be read: {error.strerror}",
            solution="make it readable for this user, or remove [promotion] record from this machine's configuration",
        ) from error
    content = content[: content.rfind(b"\n") + 1]
    end = _position(content)
    start = int(position.partition(" ")[0] or 0)
    if not position or start > len(content) or _position(content[:start]) != position:
        return Changes(None, end)
    try:
        touched = {_repository(Entry.read(line)) for line in content[start:].splitlines()}
        begun = {entry.id: entry for entry in map(Entry.read, content.splitlines())}  # the last line of each change
        touched |= {_repository(entry) for entry in begun.values() if entry.state != DONE}
    except (ValueError, UsageError):
        return Changes(None, end)
    return Changes(frozenset(touched), end)


def _repository(entry: Entry) -> str:
    return ImageReference.parse(entry.repository).repository


def _position(content: bytes) -> str:
    return f"{len(content)} {digest_of(content[-_BEFORE:])}"


#: State keys: position in the journal, selected repositories, clock reading of the last full run and of the last
#: refresh of referrers.
_POSITION, _WANTED, _FULL, REFERRERS = "position", "wanted", "full", "referrers asked for"


@dataclass(frozen=True)
class Scope:
    """The repositories of a run.

    :param repositories: all selected repositories
    :param queried: those whose tags are queried; for the others the state is used
    :param is_full: whether all are queried
    :param position: end of the promotion journal; empty without one
    """

    repositories: tuple[str, ...]
    asked: tuple[str, ...]
    is_full: bool
    position: str

    def done(self, state: State, options: Options, now: Moment) -> None:
        """Record in the state that all repositories were read."""
        state.facts.update({_POSITION: self.position, _WANTED: _wanted(options)})
        if self.is_full:
            state.note(_FULL, now)


def scope_of(http: RegistryHTTP, options: Options, state: State, now: Moment) -> Scope:
    """Select the repositories of a run: all, or those changed since the last complete run.

    All are read once a day in any case, to find changes made without ``promote``.

    :raises RegistryError: if the registry cannot be read, or has no repositories
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
    """Return whether a daily step is due."""
    last = state.moment(fact)
    return last is None or last.boot != now.boot or now.since(last, longest=DAY) >= DAY


def _is_fresh(state: State, options: Options, now: Moment) -> bool:
    return state.facts.get(_WANTED) == _wanted(options) and not is_due(state, _FULL, now)


def _wanted(options: Options) -> str:
    return json.dumps([options.prefix, *sorted(options.repositories)])


def _listed(http: RegistryHTTP, options: Options) -> set[str]:
    """Return the repositories to export; reads the catalog only if patterns are used."""
    if all(map(is_repository, options.repositories)):
        return {name for name in options.repositories if options.wants(name)}
    found = set(repositories(http))
    if not found:
        raise RegistryError(f"{http.host} lists no repositories; nothing was changed")
    wanted = {name for name in found if options.wants(name) and name.partition("/")[0] != STAGING}
    if not wanted:
        below = f" below {options.prefix}" if options.prefix else ""
        patterns = " ".join(map(printable_line, options.repositories))
        raise RegistryError(f"no repository of {http.host}{below} matches {patterns}; it has {len(found)}")
    return wanted
