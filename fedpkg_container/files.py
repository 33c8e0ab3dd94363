# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing of output files: atomic for regular files, direct for devices, FIFOs and descriptors (``/dev/stdout``)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import re
import stat
import tempfile
import time
from pathlib import Path

from fedpkg_container.errors import UsageError

#: Seconds to wait until another process opens a FIFO for reading.
FIFO_TIMEOUT = 10.0
_FIFO_INTERVAL = 0.05
#: Maximum number of links to follow, as the kernel has it.
_MAX_LINKS = 40
#: Characters of the name of a file that are part of the name of its new version: a name has at most 255 bytes.
_MAX_PREFIX = 32


def check_writable(path: Path) -> None:
    """Check that ``write_output`` can write a file, without changing it; a FIFO need not have a reader yet.

    :raises OSError: if it cannot
    """
    descriptor = _own_descriptor(path)
    if descriptor is not None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise _error(errno.EBADF, path)
        return
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        raise _error(errno.EISDIR, path)
    if mode and not stat.S_ISREG(mode):
        if stat.S_ISSOCK(mode):
            raise _error(errno.ENXIO, path)
        if not os.access(path, os.W_OK):
            raise _error(errno.EACCES, path)
        return
    path = path.resolve()
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def write_output(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write a file that a user named: a regular or new file atomically, anything else by opening it.

    :param mode: permissions of a regular file, as in ``write_atomically``
    :raises OSError: if it cannot be written; a regular file is unchanged then
    """
    descriptor = _own_descriptor(path)
    existing = _mode(path)
    if descriptor is not None:
        target = os.dup(descriptor)
    elif not existing or stat.S_ISREG(existing):
        write_atomically(path, text, mode=mode)
        return
    else:
        target = _open_special(path, is_fifo=stat.S_ISFIFO(existing))
    with open(target, "wb") as file:
        file.write(text.encode())


def _own_descriptor(path: Path) -> int | None:
    """Return the number of the descriptor of this process that a path names (``/dev/stdout``, ``/dev/fd/63``).

    Such a file is not opened by its path: a regular file behind it would be truncated or replaced.
    """
    pattern = re.compile(rf"/proc/{os.getpid()}(?:/task/[0-9]+)?/fd/([0-9]{{1,9}})")
    for _ in range(_MAX_LINKS):
        path = path.parent.resolve() / path.name
        if match := pattern.fullmatch(str(path)):
            return int(match[1])
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    raise _error(errno.ELOOP, path)


def _mode(path: Path) -> int:
    """Return the mode of a file; 0 if it does not exist."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def _open_special(path: Path, *, is_fifo: bool) -> int:
    """Open a device or a FIFO for writing; wait for the reader of a FIFO.

    :raises OSError: if it cannot be opened, or no process reads the FIFO
    """
    deadline = time.monotonic() + FIFO_TIMEOUT
    while True:
        try:
            target = os.open(path, os.O_WRONLY | os.O_NOCTTY | (os.O_NONBLOCK if is_fifo else 0))
        except OSError as error:
            if not is_fifo or error.errno != errno.ENXIO:
                raise
            if time.monotonic() >= deadline:
                raise OSError(errno.ENXIO, "no process reads this FIFO", str(path)) from error
            time.sleep(_FIFO_INTERVAL)
        else:
            os.set_blocking(target, True)
            return target


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def write_atomically(path: Path, text: str, *, mode: int | None = None, follow: bool = True) -> None:
    """Replace a file so that readers see either the old or the complete new content.

    :param mode: permissions; None for those of the existing file, or the default of a new one
    :param follow: write the file to which a link leads, as for a file that a user named; otherwise replace the link
    :raises OSError: if the file cannot be written; it is unchanged then
    """
    path = path.resolve() if follow and path.is_symlink() else path
    if mode is None:
        with contextlib.suppress(OSError):
            mode = path.stat().st_mode & 0o777  # the set-user-ID bit is not for other contents and owners
    if mode is None:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:_MAX_PREFIX]}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def write_when_different(path: Path, text: str) -> bool:
    """Write a file unless it holds the text already, and return whether it was written.

    Programs that have it open keep what they opened. It is not synchronized with the disk.

    :raises OSError: it could not be written
    """
    content = text.encode()
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return False
    new = path.with_name(f".{path.name}.new")
    with open(new, "wb", opener=open_without_links) as file:
        file.write(content)
    new.replace(path)
    return True


def open_without_links(path: str | Path, flags: int, *, mode: int = 0o666) -> int:
    """Open a file of the program's state and return its descriptor; a link is an error (ELOOP).

    :param mode: permissions of a new file, before the umask
    :raises OSError: if it cannot be opened
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def user_name(number: int) -> str:
    """Return the name of a user by its ID; ``#ID``, which sudo accepts too, if it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def check_directory_owner(directory: Path) -> None:
    """Check that root does not write to a directory of another user, who could place links there.

    :raises UsageError: if it belongs to one
    :raises OSError: if it does not exist
    """
    if os.geteuid() == 0 and (owner := directory.stat().st_uid) != 0:
        name = user_name(owner)
        raise UsageError(
            f"{directory} belongs to the user {name}, who could redirect what root writes there",
            solution=f"run the command as this user: sudo -u {name} …",
        )
