"""The tree that is served: ``v2/<repository>/blobs/<digest>``, one copy of each blob on disk, and its list of files."""

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
from fedpkg_container.registry.digests import checked

#: What is served, below the tree's folder: blobs, and archives.
BLOBS, ARCHIVES = TOPS = ("v2", "archives")
#: Permissions of what is served, whatever the umask.
FILE_MODE, FOLDER_MODE = 0o644, 0o755
#: Why a file cannot get another name, so that it is copied: too many already, or a file system without hard links.
_NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Entry:
    """A blob as it is in the tree.

    :param size: bytes
    :param inode: names with the same one are one file
    """

    repository: str
    digest: str
    size: int
    inode: int


#: Repository → digest → blob.
Contents = dict[str, dict[str, Entry]]


class Tree:
    """The tree that is served; names and digests are checked before they become paths. For several threads.

    :param folder: ``v2`` is made below it
    :param aside: a folder on the same file system, for files that are not yet what they are to be
    """

    def __init__(self, folder: Path, aside: Path) -> None:
        self.folder = folder
        self._blobs = folder / BLOBS
        self._aside = aside
        self._changed: set[Path] = set()
        self._lock = threading.Lock()

    def path(self, repository: str, digest: str) -> Path:
        """Where a blob is, or would be.

        :raises RegistryError: the name is none that a repository can have
        """
        if not is_repository(repository):
            raise RegistryError(f"not the name of a repository: {repository[:300]!r}")
        return self._blobs / repository / "blobs" / checked(digest)

    def contents(self) -> Contents:
        """What is there; whatever is not a blob of ours is passed over."""
        found: Contents = {}
        for entry in self._entries():
            found.setdefault(entry.repository, {})[entry.digest] = entry
        return found

    def _entries(self) -> Iterator[Entry]:
        # A component of a repository may be called "blobs": what is directly in the last such folder and has a
        # colon, which no component has, is a blob of the repository before it.
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
        """Move a whole file to where it is served; what was there is replaced at once."""
        target = self._target(repository, digest)
        content.chmod(FILE_MODE)
        content.replace(target)

    def link(self, digest: str, source: str, repository: str) -> None:
        """Serve a blob for another repository too: by another name of the same file, or a copy where that cannot be.

        :param source: a repository that has it
        """
        if self.join(digest, source, repository):
            return
        with self._new(digest) as new:
            shutil.copyfile(self.path(source, digest), new)
            new.chmod(FILE_MODE)
            sync(new)
            new.replace(self._target(repository, digest))

    def join(self, digest: str, source: str, repository: str) -> bool:
        """Serve a blob for another repository by another name of the same file; whether that can be.

        :param source: a repository that has it
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
        """A name aside, for what is to replace what is served at once; nothing is left of it."""
        new = self._aside / f"{digest}.{threading.get_ident()}.new"
        new.unlink(missing_ok=True)
        try:
            yield new
        finally:
            new.unlink(missing_ok=True)  # rename leaves it where both are names of one file

    def _target(self, repository: str, digest: str) -> Path:
        target = self.path(repository, digest)
        make_folders(target.parent, self.folder)
        with self._lock:
            self._changed.add(target.parent)
        return target

    def remove(self, repository: str, digest: str) -> None:
        """Serve a blob no longer for a repository."""
        self.path(repository, digest).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove folders that are empty, and see to it that the names of what is new are on the disk."""
        for top in TOPS:
            for folder, _, _ in os.walk(self.folder / top, topdown=False):
                with contextlib.suppress(OSError):  # it is not empty
                    Path(folder).rmdir()
        with self._lock:
            changed, self._changed = self._changed, set()
        for path in changed:
            with contextlib.suppress(FileNotFoundError):
                sync(path)


def make_folders(path: Path, top: Path) -> None:
    """Make a folder, and those above it up to ``top``, for everybody to read."""
    missing = []
    while path != top and not path.is_dir():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another thread made it
            each.mkdir()
            each.chmod(FOLDER_MODE)


def publish(text: str, path: Path, aside: Path) -> None:
    """Write a file that is served: whoever reads it sees all of it or what was there before, and nothing beside it.

    :param aside: a folder on the same file system
    :raises OSError: it could not be written
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
    """See to it that what was written to a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_NAME = "fullfiletimelist-"


def write(folder: Path, aside: Path) -> bool:
    """Write the list of a tree, named after its folder, unless it says already what is there; whether it was written.

    :param aside: a folder on the same file system
    :raises OSError: it cannot be written
    """
    path = folder / f"{_NAME}{folder.resolve().name}"
    text = "[Version]\n2\n\n[Files]\n" + "".join(_lines(folder)) + "\n[Checksums SHA1]\n\n[End]\n"
    if path.exists() and path.read_text() == text:
        return False
    publish(text, path, aside)
    return True


def _lines(folder: Path) -> Iterator[str]:
    """A line for each file and folder, in the order of their paths; none for what is hidden, and none for lists."""
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
