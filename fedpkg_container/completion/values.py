# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion of argument values from the cache and from local data.

``refresh`` writes the cache. Its values are untrusted: those that contain control characters or look like an option
are not offered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from fedpkg_container.completion import cache
from fedpkg_container.completion.checkout import Checkout

if TYPE_CHECKING:
    import argparse

#: Kinds of values that arguments can be marked with.
KINDS = (
    "targets",
    "arches",
    "branches",
    "nvrs",  # of the checkout's package
    "tasks",  # the user's own unfinished ones
    "builds",  # nvrs and tasks
    "namespaces",
    "check-codes",
    "configuration-keys",
    "configuration-settings",  # KEY=VALUE
    "words",  # those of the argument itself
    "nothing",  # values that cannot be completed
)
#: Architectures to offer while those of the hub are unknown.
ARCHES = ("aarch64", "i686", "ppc64le", "riscv64", "s390x", "x86_64")
#: rpkg's names of completers → kind of values.
RPKG_COMPLETERS = {"list_targets": "targets", "build_arches": "arches", "branches": "branches"}
MAX_LENGTH = 250

#: Values; values with descriptions; or, for settings, keys with their allowed values.
ExtraValues = Union[Iterable[str], Mapping[str, str], Mapping[str, Iterable[str]]]


class Context:
    """Context of a completion.

    :param site: the client's site, e.g. ``fedpkg``
    :param profile: Koji profile of the site
    :param namespaces: dist-git namespaces
    :param path: directory in the checkout
    """

    def __init__(self, site: str, profile: str, namespaces: Iterable[str] = (), path: str = ".") -> None:
        self.site = site
        self.profile = profile
        self.namespaces = list(namespaces)
        self.path = path

    @property
    def hub_file(self) -> str:
        """Path of the cached values of the hub."""
        return os.path.join(cache.directory(self.site, self.profile), "hub.json")

    def package_file(self, component: str) -> str:
        """Return the path of the cached builds of a package."""
        return cache.directory(self.site, self.profile, "packages", f"{component}.json")


class Completer:
    """Completer for argcomplete that offers the values of a kind.

    :param kind: one of :data:`KINDS`
    :param extra_values: returns additional values that are always offered
    :param context: without a context, only local values are offered
    """

    def __init__(
        self, kind: str, extra_values: Callable[[], ExtraValues] = tuple, context: Context | None = None
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of values: {kind!r}")
        self.kind = kind
        self.extra_values = extra_values
        self.context = context or Context("", "")

    def __call__(self, prefix: str = "", parsed_args: Any = None, **_: Any) -> dict[str, str]:
        """Return the possible values with their descriptions, which may be empty."""
        self.context.path = getattr(parsed_args, "path", None) or self.context.path
        checkout = Checkout(self.context.path)
        values = _values(self.kind, self.context, checkout)
        extra_values = self.extra_values()
        if self.kind == "configuration-settings" and isinstance(extra_values, Mapping):
            extra_values = _settings(extra_values, prefix)
        for value in extra_values:
            values.setdefault(value, extra_values[value] if isinstance(extra_values, Mapping) else "")
        return {value: _description(text) for value, text in values.items() if is_safe(value)}


def complete_with(
    action: argparse.Action, kind: str, extra_values: Callable[[], ExtraValues] = tuple
) -> argparse.Action:
    """Set the completion of an argument.

    :param kind: one of :data:`KINDS`
    :param extra_values: returns additional values; for ``configuration-settings`` keys with their allowed values. It is
        called when the snapshot is created, not for each completion, and so may import slow modules
    :returns: the action
    """
    action.completer = Completer(kind, extra_values)  # type: ignore[attr-defined]
    return action


def is_safe(value: object) -> bool:
    """Return whether a value may be offered: printable, not too long, and not like an option."""
    return isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isprintable() and value[0] != "-"


def _description(text: object) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in str(text or ""))[:MAX_LENGTH]


def _settings(extra_values: Mapping[str, Iterable[str]], prefix: str) -> list[str]:
    """Return ``KEY=`` for every key, or all ``KEY=VALUE`` once the key is typed."""
    key, equals, _ = prefix.partition("=")
    if equals and key in extra_values:
        return [f"{key}={value}" for value in extra_values[key]]
    return [f"{name}=" for name in extra_values]


def _values(kind: str, context: Context, checkout: Checkout) -> dict[str, str]:
    if kind == "builds":
        return {**_values("tasks", context, checkout), **_values("nvrs", context, checkout)}
    if kind == "branches":
        return dict.fromkeys(checkout.branches(), "")
    if kind == "namespaces":
        return dict.fromkeys(context.namespaces, "")
    if kind == "targets":
        return _cached(context.hub_file, "targets") or ({checkout.target: ""} if checkout.target else {})
    if kind == "arches":
        return _cached(context.hub_file, "arches") or dict.fromkeys(ARCHES, "")
    if kind == "tasks":
        return _cached(context.hub_file, "tasks")
    if kind == "nvrs" and checkout.component:
        return _cached(context.package_file(checkout.component), "nvrs")
    return {}


def _cached(path: str, key: str) -> dict[str, str]:
    """Return cached values with their descriptions; empty if the cache is invalid."""
    cached = cache.read(path).get(key)
    if isinstance(cached, dict):
        return {value: text for value, text in cached.items() if isinstance(text, str)}
    return dict.fromkeys((value for value in cached if isinstance(value, str)), "") if isinstance(cached, list) else {}
