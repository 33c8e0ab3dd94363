# SPDX-License-Identifier: GPL-2.0-or-later
"""Index of the promotion journal: which lines belong to which repository, so that only those are parsed.

It is a cache in SQLite beside the journal, updated from the lines that were appended since. A user who may only read
the journal gets it in memory, and so does root in a directory of another user, who could place links there.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fedpkg_container.errors import ConfigurationError, UsageError
from fedpkg_container.files import check_directory_owner
from fedpkg_container.registry.promotion.journal_entry import DONE, PROMOTE, JournalEntry
from fedpkg_container.registry.promotion.journal_files import JournalFiles, Line, Position
from fedpkg_container.text import printable_line

_log = logging.getLogger(__name__)

#: Version of the tables; an index of another version is recreated.
_VERSION = 2
_TABLES = """
CREATE TABLE lines (file INTEGER, offset INTEGER, size INTEGER, repository TEXT, target TEXT, nvr TEXT, digest TEXT,
    promoted TEXT, PRIMARY KEY (file, offset)) WITHOUT ROWID;
CREATE INDEX by_repository ON lines (repository);
CREATE INDEX by_nvr ON lines (nvr, target);
CREATE INDEX by_promotion ON lines (target, promoted) WHERE promoted <> '';
CREATE TABLE position (text TEXT NOT NULL);
"""
#: Condition for completed promotions to a target, given by its name and the start of its repositories.
_PROMOTIONS = "target = ? AND promoted <> '' AND instr(repository, ?) = 1"
#: Seconds to wait for another process that updates the index.
_TIMEOUT = 60.0
_MEMORY = ":memory:"

Result = TypeVar("Result")


@dataclass
class JournalIndex:
    """The index; thread-safe. Methods raise ``ConfigurationError`` if the journal cannot be read or is invalid.

    :param path: of the index; it need not be writable
    """

    files: JournalFiles
    path: Path
    _database: sqlite3.Connection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def entries(self, repository: str) -> list[JournalEntry]:
        """Return the entries of a repository, the oldest first.

        :param repository: with its registry
        """

        return self._query(
            lambda database: self._read_lines(database, "repository = ? ORDER BY file, offset", repository)
        )

    def latest_promotions(self, target: str, registry: str, count: int) -> list[JournalEntry]:
        """Return the last completed promotions to a target, the newest first.

        :param registry: of the target
        """
        condition = f"{_PROMOTIONS} ORDER BY promoted DESC, file DESC, offset DESC LIMIT ?"
        return self._query(lambda database: self._read_lines(database, condition, target, f"{registry}/", count))

    def promotion_times(self, target: str, registry: str) -> dict[tuple[str, str], str]:
        """Return when images were last promoted to a target: repository with its registry, digest → RFC 3339.

        :param registry: of the target
        """
        statement = (
            f"SELECT repository, digest, max(promoted) FROM lines WHERE {_PROMOTIONS} GROUP BY repository, digest"
        )

        def query(database: sqlite3.Connection) -> dict[tuple[str, str], str]:
            rows = database.execute(statement, (target, f"{registry}/"))
            return {(repository, digest): promoted for repository, digest, promoted in rows}

        return self._query(query)

    def repositories(self) -> list[str]:
        """Return the repositories with entries, with their registries, in the order of their first entries."""
        statement = "SELECT repository FROM lines GROUP BY repository ORDER BY min(file * 1099511627776 + offset)"
        return self._query(lambda database: [row[0] for row in database.execute(statement)])

    def repositories_of(self, nvr: str, target: str) -> list[str]:
        """Return the repositories with entries of a build in a target."""
        statement = "SELECT DISTINCT repository FROM lines WHERE nvr = ? AND target = ?"
        return self._query(lambda database: [row[0] for row in database.execute(statement, (nvr, target))])

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _query(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Update the index and query it; use one in memory if the file cannot be used."""
        with self._lock:
            for path in (str(self.path), _MEMORY) if self._is_usable() else (_MEMORY,):
                try:
                    return self._update_and_query(path, query)
                except sqlite3.Error as error:
                    if path == _MEMORY:
                        raise
                    _log.info("the index %s cannot be used, reading the whole journal: %s", path, error)
                    self._discard(error)
            raise AssertionError

    def _is_usable(self) -> bool:
        try:
            check_directory_owner(self.path.parent)
        except (UsageError, OSError):
            return False
        return not self.path.is_symlink()

    def _update_and_query(self, path: str, query: Callable[[sqlite3.Connection], Result]) -> Result:
        if self._database is None:
            self._database = _open(path)
        self._update(self._database)
        return query(self._database)

    def _discard(self, error: sqlite3.Error) -> None:
        """Close the index; delete it if it is damaged."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self.path.unlink(missing_ok=True)

    def _update(self, database: sqlite3.Connection) -> None:
        """Add the lines that were appended since the last update."""
        position = _position(database)
        if position is not None and self.files.is_valid(position) and next(self.files.lines(position), None) is None:
            return
        database.execute("BEGIN IMMEDIATE")
        try:
            position = _position(database)  # another process may have updated it
            if position is None or not self.files.is_valid(position):
                database.execute("DELETE FROM lines")
                position = Position()
            last = None
            for line in self.files.lines(position):
                database.execute("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._row(line))
                last = line
            if last is not None:
                position = self.files.position(last.file, last.end)
            database.execute("DELETE FROM position")
            database.execute("INSERT INTO position VALUES (?)", (position.text,))
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _row(self, line: Line) -> tuple[object, ...]:
        entry = parse_line(self.files, line)
        is_promotion = entry.what == PROMOTE and entry.state == DONE
        promoted = (entry.ended or entry.time) if is_promotion else ""
        return (line.file, line.offset, len(line.content), entry.repository, entry.target, entry.nvr, entry.digest,
                promoted)  # fmt: skip

    def _read_lines(self, database: sqlite3.Connection, condition: str, *values: object) -> list[JournalEntry]:
        """Read and parse indexed lines.

        :raises sqlite3.IntegrityError: if one has changed since
        """
        rows = database.execute(f"SELECT file, offset, size, repository, digest FROM lines WHERE {condition}", values)
        lines = rows.fetchall()
        contents = self.files.read_spans(line[:3] for line in lines)
        entries = []
        for content, (*_, repository, digest) in zip(contents, lines):
            try:
                entry = JournalEntry.read(content)
            except ValueError as error:
                raise sqlite3.IntegrityError("an indexed line has changed") from error
            if (entry.repository, entry.digest) != (repository, digest):
                raise sqlite3.IntegrityError("an indexed line has changed")
            entries.append(entry)
        return entries


def parse_line(files: JournalFiles, line: Line) -> JournalEntry:
    """Parse a line of the journal.

    :raises ConfigurationError: if it is invalid
    """
    try:
        return JournalEntry.read(line.content)
    except ValueError as error:
        raise ConfigurationError(
            f"invalid line {files.line_number(line)} in the promotion journal {files.name(line.file)}:"
            f" {printable_line(str(error))[:200]}",
            solution="correct the line, or remove it and keep a copy",
        ) from error


def _open(path: str) -> sqlite3.Connection:
    """Open an index, and create its tables."""
    database = sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous = OFF")  # a cache
        if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            database.execute("BEGIN IMMEDIATE")
            if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                for statement in _statements(database):
                    database.execute(statement)
            database.execute("COMMIT")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _statements(database: sqlite3.Connection) -> Iterator[str]:
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        yield f'DROP TABLE "{table}"'
    yield from filter(str.strip, _TABLES.split(";"))
    yield f"PRAGMA user_version = {_VERSION}"


def _position(database: sqlite3.Connection) -> Position | None:
    row = database.execute("SELECT text FROM position").fetchone()
    return Position.from_text(row[0]) if row else None
