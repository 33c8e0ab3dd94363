# SPDX-License-Identifier: GPL-2.0-or-later
"""Selection of the repositories for a run: all, or those changed according to the promotion journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import RegistryError, UsageError
from fedpkg_container.model.reference import ImageReference, is_repository
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.clock import ClockReading
from fedpkg_container.registry.mirror.options import DAY, Options
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.pages import repositories
from fedpkg_container.registry.promotion.journal_entry import DONE, JournalEntry
from fedpkg_container.registry.promotion.journal_files import JournalFiles, Position
from fedpkg_container.registry.staging import STAGING
from fedpkg_container.text import printable_line

_log = logging.getLogger(__name__)

#: State keys: position in the journal, selected repositories, clock reading of the last full run and of the last
#: refresh of referrers.
_POSITION, _WANTED, _FULL, REFERRERS = "position", "wanted", "full", "referrers refreshed"


@dataclass(frozen=True)
class JournalChanges:
    """Changes according to the journal.

    :param repositories: repositories with new or unfinished entries; None if this cannot be determined
    :param position: end of the journal, to be stored for the next run
    """

    repositories: frozenset[str] | None
    position: str


def journal_changes(journal: Path, position: str) -> JournalChanges:
    """Return the repositories changed since a position of the journal; only the lines after it are read.

    The registry in an entry is ignored, because the mirror may use another name for it, which is not redirected to
    mirrors. At worst a repository of the same name is queried in vain.

    The result is undetermined without a position, if the file was replaced, or if a line is invalid. An incomplete last
    line is left for the next run.

    :param position: stored by the last complete run; empty for none
    :raises ConfigurationError: if the file cannot be read
    """
    files, read = JournalFiles(journal), _ReadPosition.from_text(position)
    is_known = read is not None and files.is_valid(read.position)
    start, unfinished = (read.position, dict(read.unfinished)) if read and is_known else (Position(), {})
    changed, end = set(unfinished.values()), start
    for line in files.lines(start):
        end = Position(line.file, line.end)
        try:
            entry = JournalEntry.read(line.content)
            repository = ImageReference.parse(entry.repository).repository
        except (ValueError, UsageError):
            is_known = False
            continue
        changed.add(repository)
        if entry.state == DONE:
            unfinished.pop(entry.id, None)
        else:
            unfinished[entry.id] = repository
    text = _ReadPosition(files.position(end.file, end.offset), unfinished).text
    return JournalChanges(frozenset(changed) if is_known else None, text)


@dataclass(frozen=True)
class _ReadPosition:
    """Up to where the journal was read.

    :param unfinished: ID of a change that was started there, and not completed → its repository
    """

    position: Position
    unfinished: Mapping[str, str]

    @property
    def text(self) -> str:
        """Serialized form."""
        return json.dumps({"position": self.position.text, "unfinished": self.unfinished})

    @classmethod
    def from_text(cls, text: str) -> _ReadPosition | None:
        """Parse the serialized form; None if it is invalid."""
        try:
            values = json.loads(text)
            position = Position.from_text(values["position"])
            unfinished = {str(name): str(value) for name, value in values["unfinished"].items()}
        except (ValueError, TypeError, LookupError, AttributeError):
            return None
        return cls(position, unfinished) if position else None


@dataclass(frozen=True)
class Selection:
    """The repositories of a run.

    :param repositories: all selected repositories
    :param queried: those whose tags are queried; for the others the state is used
    :param is_full: whether all are queried
    :param position: end of the promotion journal; empty without one
    """

    repositories: tuple[str, ...]
    queried: tuple[str, ...]
    is_full: bool
    position: str

    def record_complete(self, state: State, options: Options, now: ClockReading) -> None:
        """Record in the state that all repositories were read."""
        state.facts.update({_POSITION: self.position, _WANTED: _criteria(options)})
        if self.is_full:
            state.record_clock(_FULL, now)


def select_repositories(http: RegistryHTTP, options: Options, state: State, now: ClockReading) -> Selection:
    """Select the repositories of a run: all, or those changed since the last complete run.

    All are read once a day in any case, to find changes made without ``promote``.

    :raises RegistryError: if the registry cannot be read, or has no repositories
    """
    changes_since = journal_changes(options.journal, state.facts.get(_POSITION, "")) if options.journal else None
    position = changes_since.position if changes_since else ""
    if changes_since and changes_since.repositories is not None and not options.full and _is_fresh(state, options, now):
        changed = {name for name in changes_since.repositories if options.wants(name)}
        repositories = {name for name in state.tags if options.wants(name)} | changed
        _log.info(
            "reading %d of %d repositories, which changed according to the journal", len(changed), len(repositories)
        )
        return Selection(tuple(sorted(repositories)), tuple(sorted(changed)), is_full=False, position=position)
    names = tuple(sorted(_matching(http, options)))
    _log.info("reading all %d repositories", len(names))
    return Selection(names, names, is_full=True, position=position)


def is_due(state: State, fact: str, now: ClockReading) -> bool:
    """Return whether a daily step is due."""
    last = state.clock_reading(fact)
    return last is None or last.boot != now.boot or now.since(last, limit=DAY) >= DAY


def _is_fresh(state: State, options: Options, now: ClockReading) -> bool:
    return state.facts.get(_WANTED) == _criteria(options) and not is_due(state, _FULL, now)


def _criteria(options: Options) -> str:
    return json.dumps([options.prefix, *sorted(options.repositories)])


def _matching(http: RegistryHTTP, options: Options) -> set[str]:
    """Return the repositories to export; reads the catalog only if patterns are used."""
    if all(map(is_repository, options.repositories)):
        return {name for name in options.repositories if options.wants(name)}
    catalog = set(repositories(http))
    if not catalog:
        raise RegistryError(f"{http.host} lists no repositories; nothing was changed")
    wanted = {name for name in catalog if options.wants(name) and name.partition("/")[0] != STAGING}
    if not wanted:
        below = f" below {options.prefix}" if options.prefix else ""
        patterns = " ".join(map(printable_line, options.repositories))
        raise RegistryError(f"no repository of {http.host}{below} matches {patterns}; it has {len(catalog)}")
    return wanted
