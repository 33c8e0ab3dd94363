"""What a hub knows about a build target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A build target and its tags.

    :param arches: of the build tag, as Koji names them
    """

    name: str
    build_tag: str
    destination_tag: str
    arches: tuple[str, ...]
