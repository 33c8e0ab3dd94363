# SPDX-License-Identifier: GPL-2.0-or-later
"""Verification of all files in the tree: damaged files are removed, identical copies are hard-linked again."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.registry.mirror.archives import Archives
from fedpkg_container.registry.mirror.tree import BlobEntry, Contents, Tree
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.workers import StoppedError, WorkerPool

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verifier:
    """Verifies a tree.

    :param dry_run: change nothing
    """

    tree: Tree
    pool: WorkerPool
    progress: Progress
    dry_run: bool = False

    def repair(self, contents: Contents) -> int:
        """Remove blobs that do not match their digest, so that they are fetched again; return the number of changes.

        Hard links of one file are read once.

        :param contents: blobs in the tree; updated
        """
        files: dict[tuple[str, int], list[BlobEntry]] = {}
        for blobs in contents.values():
            for entry in blobs.values():
                files.setdefault((entry.digest, entry.inode), []).append(entry)
        self.progress.began("verifying", len(files), sum(names[0].size for names in files.values()))
        changed, right = 0, dict[str, list[list[BlobEntry]]]()
        for outcome in self.pool.as_completed(list(files.values()), self._is_right):
            self.progress.advanced()
            if outcome.error is not None:
                raise outcome.error
            if outcome.result:
                right.setdefault(outcome.job[0].digest, []).append(outcome.job)
            else:
                changed += len(outcome.job)
                self._remove(outcome.job, contents)
        return changed + sum(map(self._hardlink_copies, right.values()))

    def repair_archives(self, archives: Archives, existing: set[Path]) -> int:
        """Remove archives that do not match their checksum, so that they are created again; return their number.

        :param existing: archives in the tree, as relative paths; updated
        """

        def is_right(path: Path) -> bool:
            expected = archives.checksum(path)
            return bool(expected) and self._hash(self.tree.directory / path, "sha256") == expected

        size = sum((self.tree.directory / path).stat().st_size for path in existing)
        self.progress.began("verifying archives", len(existing), size)
        changed = 0
        for outcome in self.pool.as_completed(sorted(existing), is_right):
            self.progress.advanced()
            if outcome.error is not None:
                raise outcome.error
            if not outcome.result:
                changed += 1
                _log.warning("%s does not match its checksum", outcome.job)
                existing.discard(outcome.job)
                if not self.dry_run:
                    archives.remove(outcome.job)
        return changed

    def _is_right(self, names: list[BlobEntry]) -> bool:
        algorithm, _, expected = names[0].digest.partition(":")
        return self._hash(self.tree.path(names[0].repository, names[0].digest), algorithm) == expected

    def _hash(self, path: Path, algorithm: str) -> str:
        hasher = hashlib.new(algorithm)
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                if self.pool.stop.is_set():
                    raise StoppedError
                hasher.update(chunk)
                self.progress.received(len(chunk))
        return hasher.hexdigest()

    def _remove(self, names: list[BlobEntry], contents: Contents) -> None:
        for entry in names:
            _log.warning("%s/%s does not match its digest", entry.repository, entry.digest)
            del contents[entry.repository][entry.digest]
            if not self.dry_run:
                self.tree.remove(entry.repository, entry.digest)

    def _hardlink_copies(self, copies: list[list[BlobEntry]]) -> int:
        """Replace copies of a blob by hard links to the one with the most links; return the number of changes.

        Copies that cannot be linked are kept.
        """
        primary, *others = sorted(copies, key=lambda names: (-len(names), names[0].inode))
        return sum(
            self.dry_run or self.tree.hardlink(entry.digest, primary[0].repository, entry.repository)
            for names in others
            for entry in names
        )
