# SPDX-License-Identifier: GPL-2.0-or-later
"""The served tree: ``v2/<repository>/blobs/<digest>``, one copy of each blob on disk, and its list of files."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.errors import RegistryError
from fedpkg_container.model.reference import is_repository
from fedpkg_container.registry.digests import validate_digest

#: Served directories: blobs and archives.
BLOBS, ARCHIVES = TOPS = ("v2", "archives")
#: Permissions of served files and directories, independent of the umask.
FILE_MODE, DIRECTORY_MODE = 0o644, 0o755
#: Errors of link(2) that are handled by copying: too many links, or no support for hard links.
_LINK_ERRORS = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP)
_NAME = "fullfiletimelist-"


@dataclass(frozen=True)
class BlobEntry:
    """A blob in the tree.

    :param size: bytes
    :param inode: the same for hard links of one file
    :param changed: when its content or one of its names changed last, seconds since the epoch
    """

    repository: str
    digest: str
    size: int
    inode: int
    changed: float = 0.0


#: Repository → digest → blob.
Contents = dict[str, dict[str, BlobEntry]]


class Tree:
    """The served tree; validates names and digests before they become paths. Thread-safe.

    :param directory: parent of ``v2``
    :param staging_dir: directory on the same file system, for incomplete files
    """

    def __init__(self, directory: Path, staging_dir: Path) -> None:
        self.directory = directory
        self._blobs = directory / BLOBS
        self._staging_dir = staging_dir
        self._changed_directories: set[Path] = set()
        self._lock = threading.Lock()

    def path(self, repository: str, digest: str) -> Path:
        """Return the path of a blob, whether it exists or not.

        :raises RegistryError: if the repository name or digest is invalid
        """
        if not is_repository(repository):
            raise RegistryError(f"invalid repository name: {repository[:300]!r}")
        return self._blobs / repository / "blobs" / validate_digest(digest)

    def contents(self) -> Contents:
        """Return the blobs in the tree; other files are ignored."""
        contents: Contents = {}
        for entry in self._entries():
            contents.setdefault(entry.repository, {})[entry.digest] = entry
        return contents

    def _entries(self) -> Iterator[BlobEntry]:
        # A component of a repository name may be "blobs": a file in the last such directory whose name contains a
        # colon, which no component does, is a blob of the repository before it.
        for directory, _, names in os.walk(self._blobs):
            if not names or Path(directory).name != "blobs":
                continue
            repository = Path(directory).parent.relative_to(self._blobs).as_posix()
            for name in names:
                with contextlib.suppress(RegistryError, OSError):
                    status = self.path(repository, name).lstat()
                    if stat.S_ISREG(status.st_mode):
                        changed = max(status.st_mtime, status.st_ctime)
                        yield BlobEntry(repository, name, status.st_size, status.st_ino, changed)

    def publish_blob(self, content: Path, digest: str, repository: str) -> None:
        """Move a complete file to its place in the tree, replacing an existing one atomically."""
        target = self._target(repository, digest)
        content.chmod(FILE_MODE)
        content.replace(target)

    def link_blob(self, digest: str, source: str, repository: str) -> None:
        """Add an existing blob to another repository, as a hard link or, if not possible, as a copy.

        :param source: repository that has it
        """
        if self.hardlink(digest, source, repository):
            return
        with self._replacement(digest) as temporary:
            shutil.copyfile(self.path(source, digest), temporary)
            temporary.chmod(FILE_MODE)
            sync(temporary)
            temporary.replace(self._target(repository, digest))

    def hardlink(self, digest: str, source: str, repository: str) -> bool:
        """Add an existing blob to another repository as a hard link; return whether that was possible.

        :param source: repository that has it
        """
        with self._replacement(digest) as temporary:
            try:
                os.link(self.path(source, digest), temporary)
            except OSError as error:
                if error.errno not in _LINK_ERRORS:
                    raise
                return False
            temporary.replace(self._target(repository, digest))
        return True

    @contextlib.contextmanager
    def _replacement(self, digest: str) -> Iterator[Path]:
        """Yield a temporary name for an atomic replacement; remove it afterwards."""
        temporary = self._staging_dir / f"{digest}.{threading.get_ident()}.new"
        temporary.unlink(missing_ok=True)
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)  # rename(2) keeps it if both names are links of one file

    def _target(self, repository: str, digest: str) -> Path:
        target = self.path(repository, digest)
        make_directories(target.parent, self.directory)
        with self._lock:
            self._changed_directories.add(target.parent)
        return target

    def remove(self, repository: str, digest: str) -> None:
        """Remove a blob from a repository."""
        self.path(repository, digest).unlink(missing_ok=True)

    def finalize(self) -> None:
        """Remove empty directories, and sync the directories of new files."""
        for top in TOPS:
            for directory, _, _ in os.walk(self.directory / top, topdown=False):
                with contextlib.suppress(OSError):  # not empty
                    Path(directory).rmdir()
        with self._lock:
            changed, self._changed_directories = self._changed_directories, set()
        for path in changed:
            with contextlib.suppress(FileNotFoundError):
                sync(path)


def make_directories(path: Path, top: Path) -> None:
    """Create a directory and its missing parents below ``top``, readable for all."""
    missing = []
    while path != top and not path.is_dir():
        missing.append(path)
        path = path.parent
    for parent in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another thread created it
            parent.mkdir()
            parent.chmod(DIRECTORY_MODE)


def publish(text: str, path: Path, staging_dir: Path) -> None:
    """Write a served file atomically.

    :param staging_dir: directory on the same file system
    :raises OSError: if it cannot be written
    """
    temporary = staging_dir / f"{path.name}.{threading.get_ident()}"
    try:
        temporary.write_text(text)
        temporary.chmod(FILE_MODE)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Sync a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file_list(directory: Path, staging_dir: Path) -> bool:
    """Write MirrorManager's list of files, named after the directory, if it changed; return whether it was written.

    :param staging_dir: directory on the same file system
    :raises OSError: if it cannot be written
    """
    path = directory / f"{_NAME}{directory.resolve().name}"
    text = "[Version]\n2\n\n[Files]\n" + "".join(_lines(directory)) + "\n[Checksums SHA1]\n\n[End]\n"
    if path.exists() and path.read_text() == text:
        return False
    publish(text, path, staging_dir)
    return True


def _lines(directory: Path) -> Iterator[str]:
    """Yield a line per file and directory, sorted by path, without hidden files and the lists themselves."""
    for path, status in sorted(_walk(str(directory), "")):
        kind = "d" if stat.S_ISDIR(status.st_mode) else "f"
        readable = status.st_mode & (0o005 if kind == "d" else 0o004)
        changed = int(max(status.st_mtime, status.st_ctime))
        yield f"{changed}\t{kind}{'' if readable else '-'}\t{status.st_size}\t{path}\n"


def _walk(directory: str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.startswith(_NAME) or not entry.name.isprintable():
                continue
            status, path = entry.stat(follow_symlinks=False), below + entry.name
            if stat.S_ISDIR(status.st_mode):
                yield path, status
                yield from _walk(entry.path, f"{path}/")
            elif stat.S_ISREG(status.st_mode):
                yield path, status
