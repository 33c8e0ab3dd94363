# SPDX-License-Identifier: GPL-2.0-or-later
"""The builders of a box's hub: names, architectures, capacity."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass

import koji

from fedpkg_container.errors import UsageError

#: This machine's architecture, by Koji's name.
MACHINE: str = koji.canonArch(platform.machine())
#: Default capacity of a builder: two architectures of a build at a time.
CAPACITY = 4.0
#: Architectures that Koji's distributions have or had, by the names in tasks.
ARCHES = ("x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "i386", "armhfp", "ppc64")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
#: Names of other servers of a box; those of its distribution, and all.
BEYOND = frozenset({"stable", "mirror", "front-end"})
#: Name of the server of its cluster.
CLUSTER = "cluster"
_TAKEN = frozenset({"hub", "registry", "registry-storage", "distgit", CLUSTER}) | BEYOND


@dataclass(frozen=True)
class Machine:
    """A builder in the hub.

    :param arches: Koji's names of its task architectures; not necessarily those that it can execute
    :param capacity: maximum sum of the weights of its simultaneous tasks
    """

    name: str
    arches: tuple[str, ...] = (MACHINE,)
    capacity: float = CAPACITY

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(self.arches)})"


def machines(count: int, declared: Iterable[str] = (), *, capacity: float = CAPACITY) -> tuple[Machine, ...]:
    """Builders of a new box.

    :param count: number with this machine's architecture
    :param declared: further ones, as NAME=ARCH[,ARCH]
    :raises UsageError: there are none, or one is not valid
    """
    builders = [Machine(f"builder-{number}", capacity=capacity) for number in range(1, count + 1)]
    for text in declared:
        machine = parse(text, capacity=capacity)
        if machine.name in {each.name for each in builders}:
            raise UsageError(f"there are two builders called {machine.name}", solution="give each a different name")
        builders.append(machine)
    if count < 0 or not builders:
        raise UsageError("a box needs at least one builder", solution="use --builders with a number above 0")
    return tuple(builders)


def parse(text: str, *, capacity: float = CAPACITY) -> Machine:
    """Parse NAME=ARCH[,ARCH].

    :raises UsageError: the name or an architecture is invalid
    """
    name, _, listed = text.partition("=")
    arches = [koji.canonArch(arch) for arch in listed.replace(",", " ").split()]
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise UsageError(
            f"{name!r} cannot be a builder's name",
            solution="use lower-case letters, digits and '-', but no name of another server: --builder arm=aarch64",
        )
    if not arches:
        raise UsageError(f"builder {name} has no architecture", solution=f"add some: --builder {name}=aarch64,ppc64le")
    if unknown := [arch for arch in arches if arch not in ARCHES]:
        raise UsageError(f"{unknown[0]} is not a Koji architecture", solution=f"use one or more of {' '.join(ARCHES)}")
    return Machine(name, tuple(dict.fromkeys(arches)), capacity)
