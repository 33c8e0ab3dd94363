"""Which repositories a run is about, and of which of them the registry has to be asked."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fedpkg_container.errors import RegistryError
from fedpkg_container.model.reference import is_repository
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.mirror.clock import Moment
from fedpkg_container.registry.mirror.options import DAY, Options
from fedpkg_container.registry.mirror.record import changes
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.repository import repositories
from fedpkg_container.registry.staging import STAGING
from fedpkg_container.text import printable_line

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
