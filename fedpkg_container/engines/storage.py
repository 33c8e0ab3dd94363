# SPDX-License-Identifier: GPL-2.0-or-later
"""Stores of containers/storage: configuration and disk usage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.files import write_when_different
from fedpkg_container.process import run

#: The variable with the configuration path for buildah and skopeo.
VARIABLE = "CONTAINERS_STORAGE_CONF"
#: Timeout of a measurement, seconds.
TIMEOUT = 120.0


def configure(workspace: Workspace, stores: Sequence[Path]) -> dict[str, str]:
    """Write the configuration of a worker's own store; return the variables that select it.

    :param stores: further stores, read-only
    """
    graph, runtime = workspace.work / "graph", workspace.work / "run"
    lines = ["[storage]", 'driver = "overlay"', f'graphroot = "{graph}"', f'runroot = "{runtime}"']
    lines += [f'rootless_storage_path = "{graph}"']
    if stores:
        stores_text = ", ".join(f'"{store}"' for store in stores)
        lines += ["[storage.options]", f"additionalimagestores = [{stores_text}]"]
    path = workspace.directory / "storage.conf"
    write_when_different(path, "\n".join(lines) + "\n")
    return {VARIABLE: str(path)}


def size_of(directory: Path) -> int:
    """Return the disk usage of the files below a directory, in bytes, without mounts and vanishing files.

    Counted by ``du``, which supports any directory depth.
    """
    return _counted(directory, "--block-size=1")


def files_of(directory: Path) -> int:
    """Return the inode count of a directory and everything below it."""
    return _counted(directory, "--inodes")


def _counted(directory: Path, what: str) -> int:
    output = run(["du", "--summarize", "--one-file-system", what, "--", directory], timeout=TIMEOUT, check=False)
    total = output.text.split()
    return int(total[0]) if total else 0
