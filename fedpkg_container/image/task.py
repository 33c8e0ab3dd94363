"""The task that builds, and what it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BuildTask:
    """The task that builds, and what it was asked for.

    :param source_url: URL of dist-git with the commit
    :param target: the build target, as the hub describes it
    :param owner: name of the user who asked
    """

    id: int
    source_url: str
    target: Mapping[str, Any]
    owner: str
    options: Mapping[str, Any]
    arches: list[str]

    @property
    def scratch(self) -> bool:
        """Whether nothing is recorded in Koji."""
        return bool(self.options.get("scratch"))

    @property
    def isolated(self) -> bool:
        """Whether the build moves no floating tags."""
        return bool(self.options.get("isolated"))
