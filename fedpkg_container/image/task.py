"""The build task and its request."""

from __future__ import annotations

from dataclasses import dataclass

from fedpkg_container.model.koji_types import TargetInfo
from fedpkg_container.model.options import BuildOptions


@dataclass(frozen=True)
class BuildTask:
    """A ``buildContainer`` task and its arguments.

    :param source_url: dist-git URL with the exact commit
    :param target: the build target, as the hub describes it
    :param owner: name of the user who submitted the task
    """

    id: int
    source_url: str
    target: TargetInfo
    owner: str
    options: BuildOptions
    arches: list[str]

    @property
    def scratch(self) -> bool:
        """Whether Koji keeps no record of the build."""
        return bool(self.options.get("scratch"))

    @property
    def isolated(self) -> bool:
        """Whether the build leaves floating tags alone."""
        return bool(self.options.get("isolated"))
