"""Reading the whole tree, and mending it: wrong files and archives go, and what became several files is one again."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.registry.mirror.archives import Archives
from fedpkg_container.registry.mirror.tree import Contents, Entry, Tree
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.workers import Crew, StoppedError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verification:
    """Reads the tree.

    :param dry_run: change nothing
    """

    tree: Tree
    crew: Crew
    progress: Progress
    dry_run: bool = False

    def mend(self, contents: Contents) -> int:
        """Take files away that are not what their digest says, so that they are fetched anew; how many names changed.

        Each file is read once, however many names it has.

        :param contents: what is in the tree; it is brought up to date
        """
        files: dict[tuple[str, int], list[Entry]] = {}
        for blobs in contents.values():
            for entry in blobs.values():
                files.setdefault((entry.digest, entry.inode), []).append(entry)
        self.progress.began("verifying", len(files), sum(names[0].size for names in files.values()))
        changed, right = 0, dict[str, list[list[Entry]]]()
        for outcome in self.crew.each(list(files.values()), self._is_right):
            self.progress.advanced()
            if outcome.error is not None:
                raise outcome.error
            if outcome.result:
                right.setdefault(outcome.job[0].digest, []).append(outcome.job)
            else:
                changed += len(outcome.job)
                self._drop(outcome.job, contents)
        return changed + sum(map(self._join, right.values()))

    def mend_archives(self, archives: Archives, there: set[Path]) -> int:
        """Take archives away that are not what the checksums beside them say, so that they are made anew; how many.

        :param there: the archives, below the tree; it is brought up to date
        """

        def is_right(path: Path) -> bool:
            expected = archives.checksum(path)
            return bool(expected) and self._hash(self.tree.folder / path, "sha256") == expected

        size = sum((self.tree.folder / path).stat().st_size for path in there)
        self.progress.began("verifying archives", len(there), size)
        changed = 0
        for outcome in self.crew.each(sorted(there), is_right):
            self.progress.advanced()
            if outcome.error is not None:
                raise outcome.error
            if not outcome.result:
                changed += 1
                logger.warning("%s is not what its checksum says", outcome.job)
                there.discard(outcome.job)
                if not self.dry_run:
                    archives.remove(outcome.job)
        return changed

    def _is_right(self, names: list[Entry]) -> bool:
        algorithm, _, expected = names[0].digest.partition(":")
        return self._hash(self.tree.path(names[0].repository, names[0].digest), algorithm) == expected

    def _hash(self, path: Path, algorithm: str) -> str:
        hasher = hashlib.new(algorithm)
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                if self.crew.stop.is_set():
                    raise StoppedError
                hasher.update(chunk)
                self.progress.received(len(chunk))
        return hasher.hexdigest()

    def _drop(self, names: list[Entry], contents: Contents) -> None:
        for each in names:
            logger.warning("%s/%s is not what its digest says", each.repository, each.digest)
            del contents[each.repository][each.digest]
            if not self.dry_run:
                self.tree.remove(each.repository, each.digest)

    def _join(self, copies: list[list[Entry]]) -> int:
        """Make copies one file, that which has the most names; how many names changed.

        Copies that cannot be (no hard links, or too many names) stay: they are right.
        """
        kept, *others = sorted(copies, key=lambda names: (-len(names), names[0].inode))
        return sum(
            self.dry_run or self.tree.join(each.digest, kept[0].repository, each.repository)
            for names in others
            for each in names
        )
