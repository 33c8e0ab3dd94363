"""What can stand where a value is expected: marking arguments, and offering values without asking anybody.

Values come from the cache that ``refresh`` writes, and from what is known locally. They are texts from outside: what
could move a terminal, or would be taken for an option, is not offered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from fedpkg_container.completion import cache
from fedpkg_container.completion.checkout import Checkout

if TYPE_CHECKING:
    import argparse

#: What an argument can be marked with.
KINDS = (
    "targets",
    "arches",
    "branches",
    "nvrs",  # of the checkout's package
    "tasks",  # one's own that are not finished
    "builds",  # nvrs and tasks
    "namespaces",
    "check-codes",
    "configuration-keys",
    "configuration-settings",  # KEY=VALUE
    "words",  # what the argument's own mark knows
    "nothing",  # a value that nobody can know
)
#: The arches that Koji hubs build for, while the hub's own are not known.
ARCHES = ("aarch64", "i686", "ppc64le", "riscv64", "s390x", "x86_64")
#: Names that rpkg gives to completers, and what completes them.
RPKG_COMPLETERS = {"list_targets": "targets", "build_arches": "arches", "branches": "branches"}
MAX_LENGTH = 250

#: Values; values with their descriptions; or, of settings, keys with the values that each may have.
Known = Union[Iterable[str], Mapping[str, str], Mapping[str, Iterable[str]]]


class Context:
    """Where a TAB is pressed.

    :param site: the client's site, ``fedpkg``
    :param profile: its koji profile
    :param namespaces: those of dist-git
    :param path: a folder in the checkout
    """

    def __init__(self, site: str, profile: str, namespaces: Iterable[str] = (), path: str = ".") -> None:
        self.site = site
        self.profile = profile
        self.namespaces = list(namespaces)
        self.path = path

    @property
    def hub_file(self) -> str:
        """Where what the hub has is kept."""
        return os.path.join(cache.directory(self.site, self.profile), "hub.json")

    def package_file(self, component: str) -> str:
        """Where the builds of a package are kept."""
        return cache.directory(self.site, self.profile, "packages", f"{component}.json")


class Completer:
    """Offers the values of a kind, as argcomplete asks for them.

    :param kind: one of :data:`KINDS`
    :param known: values that are always offered; called when they are needed
    :param place: without one, only what is known locally is offered
    """

    def __init__(self, kind: str, known: Callable[[], Known] = tuple, place: Context | None = None) -> None:
        if kind not in KINDS:
            raise ValueError(f"nothing completes {kind!r}")
        self.kind = kind
        self.known = known
        self.place = place or Context("", "")

    def __call__(self, prefix: str = "", parsed_args: Any = None, **_: Any) -> dict[str, str]:
        """The values that can stand here, each with a description or none."""
        self.place.path = getattr(parsed_args, "path", None) or self.place.path
        checkout = Checkout(self.place.path)
        offered = _offers(self.kind, self.place, checkout)
        known = self.known()
        if self.kind == "configuration-settings" and isinstance(known, Mapping):
            known = _settings(known, prefix)
        for value in known:
            offered.setdefault(value, known[value] if isinstance(known, Mapping) else "")
        return {value: _described(text) for value, text in offered.items() if is_safe(value)}


def complete_with(action: argparse.Action, kind: str, known: Callable[[], Known] = tuple) -> argparse.Action:
    """Mark an argument with what completes it.

    :param kind: one of :data:`KINDS`
    :param known: gives further values; for ``configuration-settings`` keys with the values that each may have.
        It is called when the snapshot is made, never on an ordinary TAB, and so may import what it needs
    :returns: the action
    """
    action.completer = Completer(kind, known)  # type: ignore[attr-defined]
    return action


def is_safe(value: object) -> bool:
    """Whether a text may be offered: one line that shows what it is, and no option."""
    return isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isprintable() and value[0] != "-"


def _described(text: object) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in str(text or ""))[:MAX_LENGTH]


def _settings(known: Mapping[str, Iterable[str]], prefix: str) -> list[str]:
    """``KEY=`` for every key; all values of the key that is typed already."""
    key, equals, _ = prefix.partition("=")
    if equals and key in known:
        return [f"{key}={value}" for value in known[key]]
    return [f"{each}=" for each in known]


def _offers(kind: str, place: Context, checkout: Checkout) -> dict[str, str]:
    if kind == "builds":
        return {**_offers("tasks", place, checkout), **_offers("nvrs", place, checkout)}
    if kind == "branches":
        return dict.fromkeys(checkout.branches(), "")
    if kind == "namespaces":
        return dict.fromkeys(place.namespaces, "")
    if kind == "targets":
        return _cached(place.hub_file, "targets") or ({checkout.target: ""} if checkout.target else {})
    if kind == "arches":
        return _cached(place.hub_file, "arches") or dict.fromkeys(ARCHES, "")
    if kind == "tasks":
        return _cached(place.hub_file, "tasks")
    if kind == "nvrs" and checkout.component:
        return _cached(place.package_file(checkout.component), "nvrs")
    return {}


def _cached(path: str, key: str) -> dict[str, str]:
    """Values of the cache with their descriptions; none when it is not what we wrote."""
    found = cache.read(path).get(key)
    if isinstance(found, dict):
        return {value: text for value, text in found.items() if isinstance(text, str)}
    return dict.fromkeys((value for value in found if isinstance(value, str)), "") if isinstance(found, list) else {}
