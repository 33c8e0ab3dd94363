# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of ``fedpkg-container-cluster``, one module each."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedpkg_container.cluster.settings import ClusterConfig
    from fedpkg_container.image.config import BuilderConfig


def read_config(arguments: argparse.Namespace) -> tuple[BuilderConfig, ClusterConfig]:
    """Read the builder's site file.

    :raises ConfigurationError: if it is invalid, or builds do not run in a cluster
    """
    from fedpkg_container.errors import ConfigurationError
    from fedpkg_container.image.config import config_path, read_builder_config

    config = read_builder_config(arguments.config)
    if config.cluster is None:
        raise ConfigurationError(
            f"{arguments.config or config_path()} does not configure a cluster",
            solution="set kind in [engine]: docs/howto/cluster.md",
        )
    return config, config.cluster
