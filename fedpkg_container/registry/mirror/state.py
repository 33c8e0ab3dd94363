# SPDX-License-Identifier: GPL-2.0-or-later
"""State kept between mirror runs: a cache, which can be deleted at any time.

Served files do not depend on it. Without it, the next run queries everything, and grace periods start again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fedpkg_container.registry.mirror.clock import ClockReading
from fedpkg_container.registry.mirror.manifest_cache import Image

_log = logging.getLogger(__name__)

#: Version of the tables; a file with another version is recreated.
_VERSION = 1
_TABLES = """
CREATE TABLE images (digest TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tags (repository TEXT, tag TEXT, digest TEXT NOT NULL, PRIMARY KEY (repository, tag)) WITHOUT ROWID;
CREATE TABLE referrers (repository TEXT, subject TEXT, content TEXT NOT NULL,
    PRIMARY KEY (repository, subject)) WITHOUT ROWID;
CREATE TABLE unreached (path TEXT PRIMARY KEY, age REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass
class State:
    """The state; read completely, changed in memory, and written in one transaction.

    :param images: manifests by digest
    :param tags: repository → tag → digest, of completely read repositories
    :param referrers: results of the referrers API: repository and subject → digests
    :param unreached: path relative to the tree → seconds for which it has not been referenced
    :param facts: key → value: clock readings, position in the promotion journal
    """

    images: dict[str, Image] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    referrers: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    unreached: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def clock_reading(self, name: str) -> ClockReading | None:
        """Return a recorded clock reading."""
        return ClockReading(**json.loads(self.facts[name])) if name in self.facts else None

    def record_clock(self, name: str, clock_reading: ClockReading) -> None:
        """Record a clock reading."""
        self.facts[name] = json.dumps(asdict(clock_reading))

    @classmethod
    def read(cls, path: Path, registry: str) -> State:
        """Read the state; empty if it belongs to another registry or cannot be read."""
        empty = cls(facts={"registry": registry})
        if not path.exists():
            return empty
        try:
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    return empty
                state = cls._read(database)
        except (sqlite3.Error, ValueError, TypeError) as error:
            _log.warning("%s cannot be read and is recreated: %s", path, error)
            return empty
        return state if state.facts.get("registry") == registry else empty

    @classmethod
    def _read(cls, database: sqlite3.Connection) -> State:
        tags: dict[str, dict[str, str]] = {}
        for repository, tag, digest in database.execute("SELECT repository, tag, digest FROM tags"):
            tags.setdefault(repository, {})[tag] = digest
        return cls(
            images={digest: Image.from_text(text) for digest, text in database.execute("SELECT * FROM images")},
            tags=tags,
            referrers={
                (repository, subject): tuple(json.loads(text))
                for repository, subject, text in database.execute("SELECT * FROM referrers")
            },
            unreached=dict(database.execute("SELECT * FROM unreached")),
            facts=dict(database.execute("SELECT * FROM facts")),
        )

    def write(self, path: Path) -> None:
        """Write the changes; recreate a damaged file.

        :raises OSError: if it cannot be written
        """
        try:
            try:
                self._write(path)
            except sqlite3.OperationalError:  # no space or no permission: the file is not damaged
                raise
            except sqlite3.DatabaseError:
                for file in (path, path.with_name(f"{path.name}-journal")):
                    file.unlink(missing_ok=True)
                self._write(path)
        except sqlite3.Error as error:
            raise OSError(f"{path} cannot be written: {error}") from error

    def _write(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database:
            if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    database.execute(f'DROP TABLE "{table}"')
                database.executescript(f"{_TABLES}PRAGMA user_version = {_VERSION};")
            with database:
                for table, rows in self._rows():
                    _replace(database, table, rows)

    def _rows(self) -> Iterator[tuple[str, set[tuple[object, ...]]]]:
        yield "images", {(digest, image.text) for digest, image in self.images.items()}
        yield "tags", {(name, tag, digest) for name, tags in self.tags.items() for tag, digest in tags.items()}
        yield "referrers", {(*key, json.dumps(digests)) for key, digests in self.referrers.items()}
        yield "unreached", set(self.unreached.items())
        yield "facts", set(self.facts.items())

    def forget(self, reached: Collection[str]) -> None:
        """Remove manifests that are not referenced by any tag, and their referrers.

        :param reached: digests of the referenced ones
        """
        self.images = {digest: image for digest, image in self.images.items() if digest in reached}
        self.referrers = {key: digests for key, digests in self.referrers.items() if key[1] in reached}


def _replace(database: sqlite3.Connection, table: str, rows: set[tuple[object, ...]]) -> None:
    """Replace the rows of a table, writing only the differences."""
    before = set(database.execute(f"SELECT * FROM {table}"))
    columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
    where = " AND ".join(f"{column} = ?" for column in columns)
    database.executemany(f"DELETE FROM {table} WHERE {where}", before - rows)
    database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows - before)
