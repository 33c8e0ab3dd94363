# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine of a build with the limits and the registry access of the builder's configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import choose
from fedpkg_container.engines.workspace import WorkerLimits, Workspaces
from fedpkg_container.image.config import BuilderConfig


def builder_workspaces(config: BuilderConfig) -> Workspaces:
    """Return the directories of a builder's workers."""
    limits = WorkerLimits(config.limits.memory, config.limits.processes)
    return Workspaces(config.state, account=config.account, limits=limits)


@contextlib.contextmanager
def open_engine(config: BuilderConfig, name: str) -> Iterator[Buildah]:
    """Provide an engine with a separate store, which is removed afterwards.

    :param name: of the build, e.g. ``task-7``
    """
    workspaces = builder_workspaces(config)
    isolation = config.isolation or choose(workspaces)
    with workspaces.open(name) as workspace:
        yield Buildah(
            workspaces,
            workspace,
            isolation=isolation,
            access=config.access,
            denied=config.denied_networks,
            max_base_bytes=config.limits.base_image_size,
        )
