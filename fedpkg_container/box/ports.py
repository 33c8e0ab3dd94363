# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP ports of a box on loopback, by the names of their services."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

_Self = TypeVar("_Self", bound="_Chosen")


class _Chosen:
    """Base class of groups of ports."""

    @classmethod
    def choose(cls: type[_Self], *, taken: Collection[int] = ()) -> _Self:
        """Select free ports.

        :param taken: further ports that are reserved, though no process listens on them now
        """
        ports: list[int] = []
        with contextlib.ExitStack() as sockets:
            while len(ports) < len(fields(cls)):  # type: ignore[arg-type]
                port = sockets.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                if port not in taken:
                    ports.append(port)
        return cls(*ports)

    @classmethod
    def read(cls: type[_Self], section: Mapping[str, str]) -> _Self:
        """Stored ports; select missing ones, for a box of an earlier version."""
        written = {name: int(port) for name, port in section.items()}
        chosen = cls.choose(taken=written.values()).all
        return cls(**{name: written.get(name, port) for name, port in chosen.items()})

    @property
    def all(self) -> dict[str, int]:
        """Ports by name."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Ports(_Chosen):
    """Ports of every box."""

    hub: int
    registry: int
    distgit: int
    distgit_anonymous: int
    registry_storage: int
    files: int


@dataclass(frozen=True)
class DistributionPorts(_Chosen):
    """Ports of the servers between the candidate registry and users."""

    stable: int
    mirror: int
    front_end: int


@dataclass(frozen=True)
class ClusterPorts(_Chosen):
    """Ports of the cluster in which builds run."""

    api: int
