# SPDX-License-Identifier: GPL-2.0-or-later
"""The build task, its request, and the context shared by all steps of a build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.model.koji_types import TargetInfo
from fedpkg_container.model.limits import Deadline
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


@dataclass(frozen=True)
class BuildContext:
    """The context shared by all steps of a build.

    :param session: hub session of the builder
    :param cg_session: hub session of the content generator's account
    :param checkout: checkout directory at the exact commit
    :param koji_topdir: Koji's topdir on this builder
    :param deadline: end of all downloads of the task
    """

    task: BuildTask
    config: BuilderConfig
    session: HubSession
    cg_session: HubSession
    checkout: Path
    koji_topdir: KojiTopdir
    log: BuildLog
    deadline: Deadline
