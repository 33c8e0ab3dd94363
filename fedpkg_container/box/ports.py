"""The ports on loopback that a box has chosen for good."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

_Self = TypeVar("_Self", bound="_Chosen")


class _Chosen:
    """Numbers of TCP ports by the names of what listens there: the base of the two below."""

    @classmethod
    def choose(cls: type[_Self], *, taken: Collection[int] = ()) -> _Self:
        """Ports that are free now.

        :param taken: further ones that are not free, though nobody listens there in this moment
        """
        found: list[int] = []
        with contextlib.ExitStack() as sockets:
            while len(found) < len(fields(cls)):  # type: ignore[arg-type]
                port = sockets.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                if port not in taken:
                    found.append(port)
        return cls(*found)

    @classmethod
    def read(cls: type[_Self], section: Mapping[str, str]) -> _Self:
        """Ports as they were written down; one that a box of an earlier version does not have is chosen now."""
        written = {name: int(port) for name, port in section.items()}
        chosen = cls.choose(taken=written.values()).all
        return cls(**{name: written.get(name, port) for name, port in chosen.items()})

    @property
    def all(self) -> dict[str, int]:
        """Each port by its name."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Ports(_Chosen):
    """Those that every box has."""

    hub: int
    registry: int
    distgit: int
    distgit_anonymous: int
    registry_storage: int


@dataclass(frozen=True)
class DistributionPorts(_Chosen):
    """Those of what stands between the candidate registry and everybody."""

    stable: int
    mirror: int
    front_end: int
