# SPDX-License-Identifier: GPL-2.0-or-later
"""Replace the wall-clock time in files written by RUN by the commit time.

An OCI hook (stage ``poststop``), started by the runtime after each RUN, on the builder, before the layer is made. rpm
and newer programs use ``SOURCE_DATE_EPOCH``; this corrects those that do not: dnf's history (dnf 4, and dnf 5 until
2026), dnf's logs, and ldconfig's cache of inodes and times. Only files changed by this build are touched.

The files come from a RUN and are untrusted: no link is followed, a database is opened as a copy, and memory, CPU time
and file sizes are limited. A failed hook changes nothing else, but the layer is not reproducible.

Run as a file, with only Python's standard library, to start in a few hundredths of a second. The runtime passes the
path of the container's bundle on standard input. Usage: ``after_run.py EPOCH STARTED DIRECTORY``.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Histories of dnf 4 and dnf 5; both have a table ``trans`` with ``dt_begin`` and ``dt_end``.
HISTORIES = ("var/lib/dnf/history.sqlite", "usr/lib/sysimage/libdnf5/transaction_history.sqlite")
#: Logs also in the build log; they are truncated.
LOGS = tuple(f"var/log/{name}.log" for name in ("dnf", "dnf.librepo", "dnf.rpm", "dnf5", "hawkey"))
#: Caches that are regenerated when missing; they are removed.
CACHES = ("var/cache/ldconfig/aux-cache",)
#: RPM databases: SQLite's WAL index beside them holds random numbers.
DATABASES = ("usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite")
#: Error log, in the hook's directory.
LOG = "after-run.log"
#: Size limit of a corrected database, bytes.
LARGEST = 512 * 1024 * 1024
#: Timeout for correcting one database, seconds; a trigger in it may never end.
SECONDS = 15.0
#: CPU time (seconds) and memory (bytes) limits of the whole hook.
_CPU, _MEMORY = 50, 1024 * 1024 * 1024


def make_reproducible(root: Path, epoch: int, started: float, directory: Path) -> None:
    """Correct a root file system.

    :param epoch: commit time, seconds since the epoch
    :param started: start of the build; older files belong to the base image and are kept
    :param directory: directory for copies
    """
    for path in HISTORIES:
        with _parent(root, path) as (parent, name):
            if parent is not None and _changed(parent, name, started):
                _correct_history(parent, name, epoch, directory)
    for path in DATABASES:
        with _parent(root, path) as (parent, name):
            if parent is not None and _changed(parent, f"{name}-shm", started):
                _empty_index(parent, name)
    for path in LOGS:
        with _parent(root, path) as (parent, name):
            if parent is not None and _changed(parent, name, started):
                os.close(os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, dir_fd=parent))
    for path in CACHES:
        with _parent(root, path) as (parent, name):
            if parent is not None and _changed(parent, name, started):
                os.unlink(name, dir_fd=parent)


@contextlib.contextmanager
def _parent(root: Path, path: str) -> Iterator[tuple[int | None, str]]:
    """Open the parent directory of a file without following links; return it and the file's name, or None."""
    *directories, name = path.split("/")
    with contextlib.ExitStack() as stack:
        current = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, current)
        for each in directories:
            try:
                current = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            except OSError:
                yield None, name
                return
            stack.callback(os.close, current)
        yield current, name


def _changed(parent: int, name: str, started: float) -> bool:
    """Whether it is a regular file of this build."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_mtime >= started


def _correct_history(parent: int, name: str, epoch: int, directory: Path) -> None:
    """Limit transaction times to the commit time; rewrite the file, so that no old data remain in it."""
    import sqlite3  # loaded only if needed, as tempfile: both take 10 ms, and most RUNs leave no history
    import tempfile

    with tempfile.TemporaryDirectory(dir=directory, prefix="history-") as temporary:
        copy, new = Path(temporary) / "copy", Path(temporary) / "new"
        for suffix in ("", "-wal"):
            _copy(parent, name + suffix, Path(f"{copy}{suffix}"))
        connection = sqlite3.connect(copy, isolation_level=None)
        with contextlib.closing(connection):
            deadline = time.monotonic() + SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute(
                "UPDATE trans SET dt_begin = min(dt_begin, :epoch), dt_end = min(dt_end, :epoch)"
                " WHERE dt_begin > :epoch OR dt_end > :epoch",
                {"epoch": epoch},
            )
            connection.execute("VACUUM INTO ?", (str(new),))
        with open(os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, dir_fd=parent), "wb") as file:
            file.write(new.read_bytes())
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name + suffix, dir_fd=parent)


def _empty_index(parent: int, name: str) -> None:
    """Fill the index of an empty WAL with zeros, as SQLite does; it is kept because rpm reads with it."""
    try:
        journal = os.stat(f"{name}-wal", dir_fd=parent, follow_symlinks=False)
    except OSError:
        return
    if journal.st_size:
        return
    with open(os.open(f"{name}-shm", os.O_WRONLY | os.O_NOFOLLOW, dir_fd=parent), "wb") as file:
        size = os.fstat(file.fileno()).st_size
        file.truncate(0)
        file.truncate(size)


def _copy(parent: int, name: str, target: Path) -> None:
    """Copy a regular file, if it exists.

    :raises ValueError: if it is too large
    """
    try:
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError:
        return
    with open(source, "rb") as file:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return
        if status.st_size > LARGEST:
            raise ValueError(f"{name} has {status.st_size} bytes")
        target.write_bytes(file.read(LARGEST))


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors that files of a RUN can cause: sqlite3's too, if it is loaded."""
    module = sys.modules.get("sqlite3")
    return (OSError, ValueError, KeyError, MemoryError, *((module.Error,) if module else ()))


def main() -> None:
    """Correct the root file system of the bundle named by the runtime; log errors to the directory."""
    epoch, started, directory = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU, _CPU))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
    try:
        bundle = Path(json.load(sys.stdin)["bundle"])
        root = json.loads((bundle / "config.json").read_text())["root"]["path"]
        make_reproducible(bundle / root, epoch, started, directory)
    except _expected_errors() as error:
        with (directory / LOG).open("a") as log:
            log.write(f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main()
