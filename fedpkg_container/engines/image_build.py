# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs of one build of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.engines.network import NONE
from fedpkg_container.model.platforms import Platform


@dataclass(frozen=True)
class Mount:
    """A host directory mounted in RUN; leaves no trace in a layer if ``target`` exists.

    :param writable: whether RUN can write to it; changes are discarded
    """

    source: Path
    target: str
    writable: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.target}:{'rw' if self.writable else 'ro'},nosuid,nodev"  # as in the worker


@dataclass(frozen=True)
class ImageBuild:
    """Inputs of one build.

    :param context: build context directory
    :param timestamp: mtime of new files, seconds since the epoch, so that layers are reproducible
    :param timeout: seconds
    :param network: network access of RUN and ADD, one of ``network.NETWORKS``
    :param arguments: values of ARG
    :param ignore_file: file in ``context`` whose patterns exclude files from COPY; empty for that of buildah's choice
    :param contexts: further directories for COPY --from
    """

    context: Path
    dockerfile: Path
    labels: Mapping[str, str]
    mounts: Sequence[Mount]
    timestamp: int
    platform: Platform
    timeout: float
    network: str = NONE
    arguments: Mapping[str, str] = field(default_factory=dict)
    ignore_file: str = ""
    contexts: Mapping[str, Path] = field(default_factory=dict)
