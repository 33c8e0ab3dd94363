# SPDX-License-Identifier: GPL-2.0-or-later
"""buildah without our engine: the image that it builds from a context and a Dockerfile."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from tests.support.waiting import PATIENCE

#: Content of a file, a link as a tuple with its target, or None for an empty directory.
Entry = Union[str, tuple[str], None]


def write_tree(directory: Path, entries: Mapping[str, Entry]) -> None:
    """Create files, links and directories."""
    for name, entry in entries.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, str):
            path.write_text(entry)
        elif entry is None:
            path.mkdir()
        else:
            path.symlink_to(entry[0])


@dataclass(frozen=True)
class Built:
    """Result of a build.

    :param files: paths of files and links in the image; empty if the build failed
    :param error: the last line that buildah printed; empty if the build succeeded
    """

    files: frozenset[str]
    error: str


@dataclass(frozen=True)
class PlainBuildah:
    """buildah with a separate store.

    :param folder: for stores and contexts
    """

    folder: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def build(self, entries: Mapping[str, Entry], options: Sequence[str] = ()) -> Built:
        """Build a context, which contains its Dockerfile, without running anything from it."""
        number = next(self._numbers)
        context, output = self.folder / f"context-{number}", self.folder / f"output-{number}"
        context.mkdir()
        write_tree(context, entries)
        command: list[str | Path] = ["buildah", "--root", self.folder / "root", "--runroot", self.folder / "run"]
        command += ["--storage-driver", "vfs", "build", "--isolation", "chroot", "--quiet"]
        done = subprocess.run(
            [*command, "--output", f"type=local,dest={output}", *options, context],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            return Built(frozenset(), done.stderr.strip().rpartition("\n")[2])
        found = {
            os.path.relpath(Path(directory) / name, output)
            for directory, directories, names in os.walk(output)
            for name in [*names, *directories]
            if (Path(directory) / name).is_symlink() or not (Path(directory) / name).is_dir()
        }
        return Built(frozenset(found), "")
