# SPDX-License-Identifier: GPL-2.0-or-later
"""Retention: unreferenced files are kept for the grace period, and then deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.registry.mirror.archives import Archives, WantedArchives
from fedpkg_container.registry.mirror.clock import ClockReading
from fedpkg_container.registry.mirror.discovery import ReachableSet
from fedpkg_container.registry.mirror.options import Options, Summary
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import ARCHIVES, BLOBS, Contents, Tree

_log = logging.getLogger(__name__)

#: State key: clock reading of the last run that counted time.
_LAST_COUNTED = "counted"
#: Maximum part of the grace period that one run may add if only the wall clock is available.
_MAX_PART = 0.25


def expired(
    state: State, unreached: Collection[str], is_in_doubt: Callable[[str], bool], *, now: ClockReading, grace: float
) -> list[str]:
    """Update the ages of unreferenced paths; return those older than the grace period.

    :param unreached: paths that are not referenced
    :param is_in_doubt: returns whether the references of a path are unknown in this run; its age does not change
    :param grace: seconds; 0: expire at once
    """
    last_reading = state.clock_reading(_LAST_COUNTED)
    passed = now.since(last_reading, limit=grace * _MAX_PART) if last_reading else 0.0
    state.record_clock(_LAST_COUNTED, now)
    ages = {path: age for path, age in state.unreached.items() if is_in_doubt(path)}
    for path in unreached:
        ages[path] = state.unreached[path] + passed if path in state.unreached else 0.0
    state.unreached = ages
    return sorted(path for path in unreached if ages[path] >= grace)


@dataclass(frozen=True)
class Deletion:
    """Deletes expired files of a tree.

    :param failed: repositories that could not be read; their files are kept
    """

    tree: Tree
    archives: Archives
    state: State
    options: Options
    failed: Collection[str]

    def delete(
        self,
        contents: Contents,
        archives: Collection[Path],
        reached: Mapping[str, ReachableSet],
        wanted_archives: WantedArchives | None,
        summary: Summary,
        now: ClockReading,
    ) -> None:
        """Delete what has expired.

        :param contents: blobs in the tree at the start of the run
        :param archives: archives in the tree at the start of the run, as relative paths
        :param wanted_archives: archives that should exist; None: unknown
        :raises OSError: if a file cannot be deleted
        """
        unreached: dict[str, tuple[str, str]] = {}
        for name, blobs in contents.items():
            wanted = reached[name].blobs if name in reached else {}
            if not self._is_in_doubt(name):
                unreached.update({f"{BLOBS}/{name}/blobs/{digest}": (name, digest) for digest in blobs.keys() - wanted})
        if wanted_archives:
            certain = [path for path in archives if not self._is_in_doubt(_repository(path), wanted_archives)]
            unreached.update({str(path): ("", str(path)) for path in certain if path not in wanted_archives.paths})

        def is_in_doubt(path: str) -> bool:
            if path.startswith(f"{ARCHIVES}/"):
                return wanted_archives is None or self._is_in_doubt(_repository(Path(path)), wanted_archives)
            return self._is_in_doubt(path.partition("/")[2].rpartition("/blobs/")[0])

        expired_paths = expired(self.state, unreached, is_in_doubt, now=now, grace=self.options.grace)
        summary.deleted, summary.waiting = len(expired_paths), len(unreached) - len(expired_paths)
        for path in [] if self.options.dry_run else expired_paths:
            name, path_or_digest = unreached[path]
            if name:
                self.tree.remove(name, path_or_digest)
            else:
                self.archives.remove(Path(path_or_digest))
            del self.state.unreached[path]
            _log.info("deleted %s: unreferenced for longer than the grace period", path)

    def _is_in_doubt(self, repository: str, wanted_archives: WantedArchives | None = None) -> bool:
        failed = repository in self.failed or (wanted_archives is not None and repository in wanted_archives.in_doubt)
        return failed or not self.options.wants(repository)


def _repository(archive: Path) -> str:
    """Return the repository of an archive from its relative path."""
    return archive.parent.relative_to(ARCHIVES).as_posix()
