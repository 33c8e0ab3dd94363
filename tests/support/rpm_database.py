# SPDX-License-Identifier: GPL-2.0-or-later
"""RPM databases with any number of RPMs: copies of one header, each with a distinct name."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.process import run

#: Its path in an image.
DATABASE = "usr/lib/sysimage/rpm"
FILE = "rpmdb.sqlite"
#: The name in the copied header; the copies are named ``p0000000``, ``p0000001`` and so on.
_NAME = "pattern0"


def make(root: Path, *, packages: int = 1) -> Path:
    """Make a database of some RPMs below the root of an image; return its path.

    Each has the size of a usual RPM: 2 kB.
    """
    rpm = Package(_NAME, "A package" * 100, version="2.0", contents={"/etc/hello": "hello\n"}).build(root.parent)
    (root / DATABASE).mkdir(parents=True)
    options = ["--root", str(root), "--dbpath", f"/{DATABASE}", "--nodeps", "--noscripts", "--justdb"]
    run(["rpm", *options, "--install", rpm], timeout=60)
    file = root / DATABASE / FILE
    with contextlib.closing(sqlite3.connect(file)) as database:
        (header,) = database.execute("SELECT blob FROM Packages").fetchone()
        copies = ((number + 1, header.replace(_NAME.encode(), b"p%07d" % number)) for number in range(packages))
        database.execute("DELETE FROM Packages")
        database.executemany("INSERT INTO Packages (hnum, blob) VALUES (?, ?)", copies)
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


#: Queries with endless rows: one that streams them, and one that first stores them in temporary files.
STREAMED = "SELECT x AS hnum, (SELECT blob FROM Header LIMIT 1) AS blob FROM n"
STORED = "SELECT x AS hnum, (SELECT blob FROM Header LIMIT 1) AS blob FROM n ORDER BY blob, x"


def make_endless(file: Path, query: str) -> None:
    """Replace the table of a database by a view that repeats its first row endlessly."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE Packages RENAME TO Header")
        numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        database.execute(f"CREATE VIEW Packages AS {numbers} {query}")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
