# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's state in SQLite: one connection per thread, write-ahead log, one transaction per call."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any, Optional

import koji
from dateutil import parser

#: Timeout for another transaction to end, seconds.
LOCK_TIMEOUT = 30.0

Row = dict[str, Any]


class Database:
    """Connections to one database file, one per thread.

    :param path: the file; created, with its tables, if missing
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        schema = resources.files(__package__).joinpath("schema.sql").read_text()
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(schema)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode: transactions start explicitly."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=LOCK_TIMEOUT, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
        return connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all changes inside, or roll back on any error."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Part of a transaction, rolled back alone if it fails."""
        connection = self.connection
        connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")
            raise
        connection.execute("RELEASE part")

    @property
    def changes(self) -> int:
        """Number of rows changed by this thread's connection since it was opened."""
        return self.connection.total_changes

    def all(self, sql: str, *parameters: object) -> list[Row]:
        """All rows of a query, as dictionaries."""
        return [dict(row) for row in self.connection.execute(sql, parameters)]

    def one(self, sql: str, *parameters: object) -> Optional[Row]:
        """First row of a query, or None."""
        row = self.connection.execute(sql, parameters).fetchone()
        return dict(row) if row else None

    def value(self, sql: str, *parameters: object) -> Any:
        """First column of the first row, or None."""
        row = self.connection.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def insert(self, table: str, **values: object) -> int:
        """Add a row; return its ID."""
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        cursor = self.connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))
        return int(cursor.lastrowid or 0)

    def update(self, table: str, row_id: int, **values: object) -> None:
        """Update the row with this ID."""
        columns = ", ".join(f"{column} = ?" for column in values)
        self.connection.execute(f"UPDATE {table} SET {columns} WHERE id = ?", (*values.values(), row_id))

    def execute(self, sql: str, *parameters: object) -> int:
        """Run a statement; return the number of changed rows."""
        return self.connection.execute(sql, parameters).rowcount

    def event(self, tag_id: int | None = None) -> int:
        """Create an event: Koji numbers changes of tags and builds.

        :param tag_id: the changed tag
        """
        return self.insert("events", time=time.time(), tag_id=tag_id)


def marks(values: Sequence[object]) -> str:
    """One question mark per value, for ``IN (…)``."""
    return ", ".join("?" * len(values))


def timestamp(seconds: float | None) -> str | None:
    """A time in Koji's format: ``2026-11-20 23:09:58.180375+00:00``."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(sep=" ", timespec="microseconds")


def seconds(moment: float | str) -> float:
    """A client's time in seconds since the epoch; text without a time zone is UTC."""
    if isinstance(moment, (int, float)):
        return float(moment)
    try:
        parsed = parser.parse(moment)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError, TypeError, ArithmeticError) as error:
        raise koji.GenericError(f"Invalid time: {error}") from error


def _sorted(rows: list[Row], column: str, *, descending: bool) -> list[Row]:
    try:
        return sorted(rows, key=lambda row: (row[column] is not None, row[column]), reverse=descending)
    except (KeyError, TypeError):
        raise koji.GenericError(f"Invalid order: {column}") from None


def query_options(rows: list[Row], options: Mapping[str, Any] | None) -> Any:
    """Apply Koji's ``queryOpts`` to a list.

    Options: ``order`` (keys, ``-`` for descending), ``offset``, ``limit``, ``countOnly``.
    """
    options = options or {}
    for key in reversed((options.get("order") or "").split(",")):
        column = key.strip().lstrip("-")
        if column:
            rows = _sorted(rows, column, descending=key.strip().startswith("-"))
    start = options.get("offset") or 0
    if start < 0 or (options.get("limit") or 0) < 0:
        raise koji.GenericError("Invalid queryOpts: offset and limit must not be negative")
    end = start + options["limit"] if options.get("limit") is not None else None
    rows = rows[start:end]
    return len(rows) if options.get("countOnly") else rows
