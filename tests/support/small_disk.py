"""A file system that is full soon."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class SmallDisk:
    """A tmpfs that is mounted on a folder."""

    folder: Path

    def resize(self, size: str) -> None:
        """Another size, ``200M``; what is there stays."""
        _run("mount", "-o", f"remount,size={size}", str(self.folder))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """A file system of a size on a folder, for the length of a test."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=PATIENCE)
