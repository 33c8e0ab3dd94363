# SPDX-License-Identifier: GPL-2.0-or-later
"""The variables of a build stage: ENV and ARG, in the order in which buildah looks them up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedpkg_container.distgit.dockerfile_expansion import Value, unknown
from fedpkg_container.distgit.dockerfile_facts import DEFAULT_PATH


@dataclass
class StageVariables:
    """The variables of a stage while it is read.

    :param parent: ENV of the image that it is based on
    :param is_known: whether that ENV is known
    :param own: ENV set by its own instructions
    :param arguments: arguments declared so far
    :param declared: words of its ARG instructions, as written
    :param triggers: its ONBUILD instructions
    :param is_overridable: whether an ENV that is not known may set its arguments
    """

    parent: Mapping[str, str] = field(default_factory=dict)
    is_known: bool = True
    own: dict[str, Value] = field(default_factory=dict)
    arguments: dict[str, Value] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    is_overridable: bool = False

    def lookup(self, name: str) -> Value | None:
        """Return the value of a variable: ENV takes precedence over ARG."""
        if name == "PATH" and name not in self.own and name not in self.parent:  # the default is in ENV
            return Value(DEFAULT_PATH) if self.is_known else unknown(name)
        return self.option_lookup(name)

    def option_lookup(self, name: str) -> Value | None:
        """Return the value of a variable in options, where buildah has no default PATH."""
        if name in self.own:
            return self.own[name]
        if name in self.parent:
            return Value(self.parent[name])
        if name in self.arguments and not self.is_overridable:
            return self.arguments[name]
        return None if self.is_known else unknown(name)
