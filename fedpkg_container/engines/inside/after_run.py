"""What RUN leaves that differs with the wall clock alone, brought to the time of the commit.

An OCI hook (stage ``poststop``), started by the runtime after each RUN, on the builder, before the layer is made. rpm
and newer programs take their time from ``SOURCE_DATE_EPOCH``; what is mended here is what does not: dnf's history (of
dnf 4, and of dnf 5 until 2026), dnf's logs, and ldconfig's cache of inodes and times. Only what this build changed is
touched.

The files come out of a RUN and are not trusted: no link is followed, a database is opened as a copy, and memory,
processor time and file sizes are bounded. A hook that fails changes nothing else; the layer is then one that cannot be
made again.

Run as a file, with Python's standard library alone, so that it starts in a few hundredths of a second:
``after_run.py EPOCH STARTED FOLDER``; the runtime tells on standard input where the container's bundle is.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sqlite3
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

#: Histories of dnf 4 and dnf 5; both have a table ``trans`` with ``dt_begin`` and ``dt_end``.
HISTORIES = ("var/lib/dnf/history.sqlite", "usr/lib/sysimage/libdnf5/transaction_history.sqlite")
#: Logs of what the build's log holds as well; they are emptied.
LOGS = tuple(f"var/log/{name}.log" for name in ("dnf", "dnf.librepo", "dnf.rpm", "dnf5", "hawkey"))
#: Caches that are made again when they are missing; they are removed.
CACHES = ("var/cache/ldconfig/aux-cache",)
#: RPM databases: rpm keeps an index of SQLite's journal beside them, which holds random numbers.
DATABASES = ("usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite")
#: Where it is written what went wrong, in the hook's folder.
LOG = "after-run.log"
#: The largest database that is mended, bytes.
LARGEST = 512 * 1024 * 1024
#: Seconds that mending one database may take; a trigger in it may never end.
SECONDS = 15.0
#: Seconds of processor time, and bytes of memory, of the whole hook.
_CPU, _MEMORY = 50, 1024 * 1024 * 1024


def mend(root: Path, epoch: int, started: float, folder: Path) -> None:
    """Mend a root file system.

    :param epoch: seconds since the epoch: the time of the commit
    :param started: when the build began; what is older is the base image's and stays as it is
    :param folder: where copies are made
    """
    for path in HISTORIES:
        with _parent(root, path) as (parent, name):
            if parent is not None and _changed(parent, name, started):
                _mend_history(parent, name, epoch, folder)
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
    """The folder of a file, opened without following a link, and the file's name; None: there is no such folder."""
    *folders, name = path.split("/")
    with contextlib.ExitStack() as stack:
        current = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, current)
        for folder in folders:
            try:
                current = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            except OSError:
                yield None, name
                return
            stack.callback(os.close, current)
        yield current, name


def _changed(parent: int, name: str, started: float) -> bool:
    """Whether it is a plain file that this build wrote."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_mtime >= started


def _mend_history(parent: int, name: str, epoch: int, folder: Path) -> None:
    """No transaction is later than the commit; the file is written anew, so that nothing of the past is in it."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="history-") as made:
        copy, new = Path(made) / "copy", Path(made) / "new"
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
    """An index of an empty journal is made of zeros, as SQLite makes it; it stays, because rpm reads with it."""
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
    """Copy a plain file; nothing happens when there is none.

    :raises ValueError: it is too large
    """
    try:
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError:
        return
    with open(source, "rb") as file:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode):
            return
        if found.st_size > LARGEST:
            raise ValueError(f"{name} has {found.st_size} bytes")
        target.write_bytes(file.read(LARGEST))


def main() -> None:
    """Mend the root file system of the bundle that the runtime names; what goes wrong is written into the folder."""
    epoch, started, folder = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU, _CPU))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
    try:
        bundle = Path(json.load(sys.stdin)["bundle"])
        root = json.loads((bundle / "config.json").read_text())["root"]["path"]
        mend(bundle / root, epoch, started, folder)
    except (OSError, ValueError, KeyError, MemoryError, sqlite3.Error) as error:
        with (folder / LOG).open("a") as log:
            log.write(f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main()
