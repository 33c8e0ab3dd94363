# SPDX-License-Identifier: GPL-2.0-or-later
"""The promotion journal: JSON lines, each synced to disk before the change that it describes."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.files import check_directory_owner, open_without_links
from fedpkg_container.registry.promotion import journal_files
from fedpkg_container.registry.promotion.history import RepositoryHistory
from fedpkg_container.registry.promotion.journal_entry import JournalEntry
from fedpkg_container.registry.promotion.journal_files import JournalFiles, Position, sync_directory
from fedpkg_container.registry.promotion.journal_index import JournalIndex, parse_line
from fedpkg_container.registry.promotion.locks import Locks

_log = logging.getLogger(__name__)

_APPENDING = "the record"


@dataclass(frozen=True)
class Journal:
    """The journal.

    :param path: its current file; None: nothing is recorded
    """

    path: Path | None

    @cached_property
    def locks(self) -> Locks:
        """Locks between processes that use this journal."""
        return Locks(self.path.with_name(f"{self.path.name}.lock") if self.path else None)

    @cached_property
    def index(self) -> JournalIndex | None:
        """The index of the journal; None without a journal."""
        if self.path is None:
            return None
        return JournalIndex(JournalFiles(self.path), self.path.with_name(f"{self.path.name}.index"))

    def history(self, repository: str) -> RepositoryHistory:
        """Return the history of a repository, with all entries so far; empty if there are none.

        :param repository: with its registry
        :raises ConfigurationError: if the journal cannot be read, or a line is invalid
        """
        return RepositoryHistory.of(self.index.entries(repository) if self.index else ())

    def repositories(self) -> list[str]:
        """Return the repositories with entries, with their registries.

        :raises ConfigurationError: if the journal cannot be read, or a line is invalid
        """
        return self.index.repositories() if self.index else []

    def entries(self) -> list[JournalEntry]:
        """Return all entries, the oldest first; an incomplete last line is ignored.

        :raises ConfigurationError: if the journal cannot be read, or a line is invalid
        """
        if self.path is None:
            return []
        files = JournalFiles(self.path)
        return [parse_line(files, line) for line in files.lines(Position())]

    def append(self, entry: JournalEntry) -> None:
        """Append an entry and sync it to disk.

        :raises FedpkgContainerError: if it cannot be written; nothing of it remains
        """
        if self.path is None:
            return
        with self.locks.hold(_APPENDING):
            try:
                _append(self.path, entry.line())
            except OSError as error:
                raise FedpkgContainerError(
                    f"the promotion journal {self.path} cannot be written: {error.strerror}",
                    solution="check free space and permissions, and run it again; completed steps are skipped",
                ) from error

    def check(self) -> None:
        """Check that entries can be read and written, before any change.

        :raises UsageError: if not
        """
        if self.path is None:
            return
        location = self.path if self.path.exists() else self.path.parent
        if (
            not location.exists()
            or not os.access(location, os.W_OK)
            or (location == self.path and (location.is_symlink() or not location.is_file()))
        ):
            raise ConfigurationError(
                f"the promotion journal {self.path} cannot be written",
                solution="create its directory, or correct [promotion] record: it must be a regular file, not a link",
            )
        check_directory_owner(self.path.parent)

    def close(self) -> None:
        """Close the index."""
        if self.index:
            self.index.close()


def _append(path: Path, line: bytes) -> None:
    is_new = not path.exists()
    with open(path, "ab+", buffering=0, opener=open_without_links) as file:
        size = _truncate_to_lines(file.fileno())
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(file.fileno(), rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise
    if is_new:
        sync_directory(path.parent)
    if size + len(line) >= journal_files.ROTATE_SIZE:
        try:
            JournalFiles(path).rotate()
        except OSError as error:  # the entry is written, and the next one tries it again
            _log.warning("the promotion journal %s cannot be renamed: %s", path, error.strerror)


def _truncate_to_lines(descriptor: int) -> int:
    """Truncate a file to its complete lines, and return the size.

    An incomplete line is the rest of a killed process, which has not made the change that it describes.
    """
    size = os.fstat(descriptor).st_size
    end = size
    while end:
        start = max(end - 4096, 0)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
    return end
