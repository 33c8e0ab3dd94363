"""Which arches a build is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Platforms:
    """``platforms`` of container.yaml, in Koji's names of arches.

    :param only: the arches to build for; empty for all
    :param excluded: arches not to build for
    """

    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def choose(self, arches: Sequence[str]) -> list[str]:
        """Those of some arches that are built for, in the same order."""
        return [arch for arch in arches if arch not in self.excluded and (not self.only or arch in self.only)]


#: For every arch of the build tag.
EVERYWHERE = Platforms()
