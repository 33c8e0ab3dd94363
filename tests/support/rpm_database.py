"""RPM databases with as many RPMs as a test needs: copies of one header, each with a name of its own."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.process import run

#: Where an image has it.
DATABASE = "usr/lib/sysimage/rpm"
FILE = "rpmdb.sqlite"
#: The name in the header that is copied; the copies are called ``p0000000``, ``p0000001`` and so on.
_NAME = "pattern0"


def make(root: Path, *, packages: int = 1) -> Path:
    """Make a database of some RPMs in the root of an image; its file.

    Each is as long as that of a usual RPM: 2 kB.
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


#: Queries whose rows do not end: one that streams them, and one that first stores them in temporary files.
STREAMED = "SELECT x AS hnum, (SELECT blob FROM Header LIMIT 1) AS blob FROM n"
STORED = "SELECT x AS hnum, (SELECT blob FROM Header LIMIT 1) AS blob FROM n ORDER BY blob, x"


def make_endless(file: Path, query: str) -> None:
    """Put a view in the place of the table of a database that repeats its first row without end."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE Packages RENAME TO Header")
        numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        database.execute(f"CREATE VIEW Packages AS {numbers} {query}")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
