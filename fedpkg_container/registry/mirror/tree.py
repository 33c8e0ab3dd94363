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
FILE_MODE, FOLDER_MODE = 0o644, 0o755
#: Errors of link(2) that are handled by copying: too many links, or no support for hard links.
_NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Entry:
    """A blob in the tree.

    :param size: bytes
    :param inode: the same for hard links of one file
    """

    repository: str
    digest: str
    size: int
    inode: int


#: Repository → digest → blob.
Contents = dict[str, dict[str, Entry]]


class Tree:
    """The served tree; validates names and digests before they become paths. Thread-safe.

    :param directory: parent of ``v2``
    :param staging_dir: directory on the same file system, for incomplete files
    """

    def __init__(self, folder: Path, aside: Path) -> None:
        self.folder = folder
        self._blobs = folder / BLOBS
        self._aside = aside
        self._changed: set[Path] = set()
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
        found: Contents = {}
        for entry in self._entries():
            found.setdefault(entry.repository, {})[entry.digest] = entry
        return found

    def _entries(self) -> Iterator[Entry]:
        # A component of a repository name may be "blobs": a file in the last such directory whose name contains a
        # colon, which no component does, is a blob of the repository before it.
        for folder, _, names in os.walk(self._blobs):
            if not names or Path(folder).name != "blobs":
                continue
            repository = Path(folder).parent.relative_to(self._blobs).as_posix()
            for name in names:
                with contextlib.suppress(RegistryError, OSError):
                    facts = self.path(repository, name).lstat()
                    if stat.S_ISREG(facts.st_mode):
                        yield Entry(repository, name, facts.st_size, facts.st_ino)

    def place(self, content: Path, digest: str, repository: str) -> None:
        """Move a complete file to its place in the tree, replacing an existing one atomically."""
        target = self._target(repository, digest)
        content.chmod(FILE_MODE)
        content.replace(target)

    def link(self, digest: str, source: str, repository: str) -> None:
        """Add an existing blob to another repository, as a hard link or, if not possible, as a copy.

        :param source: repository that has it
        """
        if self.join(digest, source, repository):
            return
        with self._new(digest) as new:
            shutil.copyfile(self.path(source, digest), new)
            new.chmod(FILE_MODE)
            sync(new)
            new.replace(self._target(repository, digest))

    def join(self, digest: str, source: str, repository: str) -> bool:
        """Add an existing blob to another repository as a hard link; return whether that was possible.

        :param source: repository that has it
        """
        with self._new(digest) as new:
            try:
                os.link(self.path(source, digest), new)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                return False
            new.replace(self._target(repository, digest))
        return True

    @contextlib.contextmanager
    def _new(self, digest: str) -> Iterator[Path]:
        """Yield a temporary name for an atomic replacement; remove it afterwards."""
        new = self._aside / f"{digest}.{threading.get_ident()}.new"
        new.unlink(missing_ok=True)
        try:
            yield new
        finally:
            new.unlink(missing_ok=True)  # rename(2) keeps it if both names are links of one file

    def _target(self, repository: str, digest: str) -> Path:
        target = self.path(repository, digest)
        make_folders(target.parent, self.folder)
        with self._lock:
            self._changed.add(target.parent)
        return target

    def remove(self, repository: str, digest: str) -> None:
        """Remove a blob from a repository."""
        self.path(repository, digest).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove empty directories, and sync the directories of new files."""
        for top in TOPS:
            for folder, _, _ in os.walk(self.folder / top, topdown=False):
                with contextlib.suppress(OSError):  # not empty
                    Path(folder).rmdir()
        with self._lock:
            changed, self._changed = self._changed, set()
        for path in changed:
            with contextlib.suppress(FileNotFoundError):
                sync(path)


def make_folders(path: Path, top: Path) -> None:
    """Create a directory and its missing parents below ``top``, readable for all."""
    missing = []
    while path != top and not path.is_dir():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another thread created it
            each.mkdir()
            each.chmod(FOLDER_MODE)


def publish(text: str, path: Path, aside: Path) -> None:
    """Write a served file atomically.

    :param staging_dir: directory on the same file system
    :raises OSError: if it cannot be written
    """
    made = aside / f"{path.name}.{threading.get_ident()}"
    try:
        made.write_text(text)
        made.chmod(FILE_MODE)
        sync(made)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Sync a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_NAME = "fullfiletimelist-"


def write(folder: Path, aside: Path) -> bool:
    """Write MirrorManager's list of files, named after the directory, if it changed; return whether it was written.

    :param staging_dir: directory on the same file system
    :raises OSError: if it cannot be written
    """
    path = folder / f"{_NAME}{folder.resolve().name}"
    text = "[Version]\n2\n\n[Files]\n" + "".join(_lines(folder)) + "\n[Checksums SHA1]\n\n[End]\n"
    if path.exists() and path.read_text() == text:
        return False
    publish(text, path, aside)
    return True


def _lines(folder: Path) -> Iterator[str]:
    """Yield a line per file and directory, sorted by path, without hidden files and the lists themselves."""
    for path, facts in sorted(_walk(str(folder), "")):
        kind = "d" if stat.S_ISDIR(facts.st_mode) else "f"
        readable = facts.st_mode & (0o005 if kind == "d" else 0o004)
        changed = int(max(facts.st_mtime, facts.st_ctime))
        yield f"{changed}\t{kind}{'' if readable else '-'}\t{facts.st_size}\t{path}\n"


def _walk(folder: str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.startswith(_NAME) or not entry.name.isprintable():
                continue
            facts, path = entry.stat(follow_symlinks=False), below + entry.name
            if stat.S_ISDIR(facts.st_mode):
                yield path, facts
                yield from _walk(entry.path, f"{path}/")
            elif stat.S_ISREG(facts.st_mode):
                yield path, facts
