# SPDX-License-Identifier: GPL-2.0-or-later
"""A file system that fills up quickly."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class SmallDisk:
    """A tmpfs mounted on a directory."""

    directory: Path

    def resize(self, size: str) -> None:
        """Change the size, e.g. ``200M``; keep the contents."""
        _run("mount", "-o", f"remount,size={size}", str(self.directory))


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[SmallDisk]:
    """A file system of a size on a directory, for the duration of a test."""
    directory.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(directory))
    try:
        yield SmallDisk(directory)
    finally:
        _run("umount", "--lazy", str(directory))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=PATIENCE)
