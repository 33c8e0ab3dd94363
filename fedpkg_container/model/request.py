"""What a packager asks a hub to build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Added to Koji's priority for ``--background``.
BACKGROUND = 5


@dataclass(frozen=True)
class BuildRequest:
    """The arguments of ``buildContainer``.

    :param source: URL of dist-git with the commit
    :param priority: added to Koji's default priority; None for that
    """

    source: str
    target: str
    options: Mapping[str, Any]
    priority: int | None = None

    @property
    def scratch(self) -> bool:
        """Whether nothing is to be recorded."""
        return bool(self.options.get("scratch"))
