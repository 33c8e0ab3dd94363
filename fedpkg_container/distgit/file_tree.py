# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that COPY can read, without reading any: links are resolved as in buildah, never out of the checkout.

buildah resolves links in a root file system that consists of the checkout: an absolute link starts at the checkout,
and ``..`` does not leave it.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from fedpkg_container.distgit import wildcards

#: Maximum number of links to follow for one path, as in the Linux kernel.
MAX_LINKS = 40
#: Maximum number of characters to match against patterns, in all checks of one Dockerfile; takes a few seconds.
MAX_WORK = 500_000
#: Work to look up a component of a path, in characters.
_LOOKUP = 16


class Kind(Enum):
    """Kinds of files."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "symbolic link"
    #: a directory that is empty on builders
    SUBMODULE = "git submodule"


class FileTree(ABC):
    """A tree of files. Paths are relative to its root, without ``.`` and ``..``; the root is an empty path."""

    _work = MAX_WORK

    def spend(self, characters: int) -> bool:
        """Count characters that are matched against a pattern; return False if that takes too long in total."""
        self._work -= characters
        return self._work >= 0

    @abstractmethod
    def kind(self, path: str) -> Kind | None:
        """Return the kind of a file; None if it does not exist.

        :param path: without links in its directories
        """

    @abstractmethod
    def names(self, path: str) -> Iterable[str]:
        """Return the names in a directory; empty if it cannot be read."""

    @abstractmethod
    def target(self, path: str) -> str:
        """Return the target of a link as it is written; empty if it cannot be read."""

    @abstractmethod
    def submodules(self) -> frozenset[str]:
        """Return the paths of all git submodules."""

    def resolve(self, path: str) -> str | None:
        """Return a path with all links resolved; None if it does not exist, or there are too many links."""
        resolved: list[str] = []
        pending = path.split("/")[::-1]
        links = 0
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                del resolved[-1:]
                continue
            kind = self.kind("/".join([*resolved, name]))
            if kind is None:
                return None
            if kind is Kind.LINK:
                links += 1
                target = self.target("/".join([*resolved, name]))
                self.spend(len(target))
                if links > MAX_LINKS or not target:
                    return None
                if target.startswith("/"):
                    resolved = []
                pending += target.split("/")[::-1]
            elif kind is Kind.DIRECTORY or not any(pending):
                resolved.append(name)
            else:
                return None  # a file used as a directory
        return "/".join(resolved)

    def submodule_of(self, path: str) -> str:
        """Return the git submodule that contains a path; empty if none does."""
        parts = path.split("/")
        for length in range(1, len(parts) + 1):
            if not self.spend(length):
                break
            resolved = self.resolve("/".join(parts[:length]))
            if resolved and self.kind(resolved) is Kind.SUBMODULE:
                return resolved
            if resolved is None:
                break
        return ""

    def glob(self, pattern: str) -> list[str] | None:
        """Return the paths that match a pattern, as Go's ``filepath.Glob``; None if that takes too long.

        Without wildcards, the pattern is a path.
        """
        reached = [""]
        for component in pattern.split("/") if pattern else ():
            is_pattern = any(character in component for character in (*wildcards.META, "\\"))
            matches: list[str] = []
            for path in reached:
                matching = self._matching(path, component) if is_pattern else self._existing(path, component)
                if matching is None:
                    return None
                matches += matching
            reached = matches
        return reached

    def _existing(self, path: str, name: str) -> list[str] | None:
        if not self.spend(_LOOKUP * (path.count("/") + 1)):
            return None
        directory = self.resolve(path)
        exists = directory is not None and self.kind(posixpath.join(directory, name)) is not None
        return [posixpath.join(path, name)] if exists else []

    def _matching(self, path: str, component: str) -> list[str] | None:
        tokens = wildcards.parse_glob(component)
        directory = self.resolve(path)
        if tokens is None or directory is None:
            return []
        names = sorted(self.names(directory))
        work = sum(map(len, names)) * wildcards.weight(tokens)
        if not wildcards.is_bounded(tokens) or not self.spend(work):
            return None
        return [posixpath.join(path, name) for name in names if wildcards.matches(tokens, name)]


class TreeOnDisk(FileTree):
    """A directory. Its links are read, but not followed, so nothing outside is accessed.

    :param submodules: paths of git submodules
    :param extra: names of files that will be added to the root
    :param fresh: whether git has just checked it out: then each empty directory is a submodule
    """

    def __init__(
        self, root: Path, *, submodules: Iterable[str] = (), extra: Iterable[str] = (), fresh: bool = False
    ) -> None:
        self._root = root
        self._submodules = frozenset(submodules)
        self._extra = frozenset(extra)
        self._fresh = fresh
        self._all_submodules: frozenset[str] | None = None
        self._empty: dict[str, bool] = {}

    def kind(self, path: str) -> Kind | None:
        """Return the kind of a file; ``.git`` does not exist, because builds do not have it."""
        if path in ("", *self._submodules):
            return Kind.SUBMODULE if path else Kind.DIRECTORY
        if path.partition("/")[0] == ".git":
            return None
        try:
            mode = os.lstat(self._root / path).st_mode
        except (OSError, ValueError):  # ValueError: a null character
            return Kind.FILE if path in self._extra else None
        if stat.S_ISLNK(mode):
            return Kind.LINK
        if not stat.S_ISDIR(mode):
            return Kind.FILE
        is_submodule = self._is_empty(path) if self._fresh else self._is_repository(path)
        return Kind.SUBMODULE if is_submodule else Kind.DIRECTORY

    def submodules(self) -> frozenset[str]:
        """Return the paths of all git submodules; reads all directories, once."""
        if self._all_submodules is None:
            submodules, pending = set(self._submodules), [""]
            while pending:
                directory = pending.pop()
                for name in self.names(directory):
                    path = posixpath.join(directory, name)
                    kind = self.kind(path)
                    if kind is Kind.DIRECTORY:
                        pending.append(path)
                    elif kind is Kind.SUBMODULE:
                        submodules.add(path)
            self._all_submodules = frozenset(submodules)
        return self._all_submodules

    def _is_empty(self, path: str) -> bool:
        """Return whether a directory below the root is empty; it is read once, and not to its end."""
        if path not in self._empty:
            self._empty[path] = True
            with contextlib.suppress(OSError, ValueError), os.scandir(self._root / path) as entries:
                self._empty[path] = next(entries, None) is None
        return self._empty[path]

    def _is_repository(self, path: str) -> bool:
        return os.path.lexists(self._root / path / ".git")

    def names(self, path: str) -> Iterable[str]:
        """Return the names in a directory, without the ``.git`` of the root."""
        names = {posixpath.basename(each) for each in self._submodules if posixpath.dirname(each) == path}
        with contextlib.suppress(OSError, ValueError):
            names.update(os.listdir(self._root / path))
        return names if path else (names | self._extra) - {".git"}

    def target(self, path: str) -> str:
        """Return the target of a link as it is written; empty if it cannot be read."""
        try:
            return os.readlink(self._root / path)
        except (OSError, ValueError):
            return ""


class TreeInGit(FileTree):
    """The files that builders have: those tracked by git, and those in the lookaside cache.

    :param root: the checkout, for the targets of links
    :param tracked: files tracked by git
    :param submodules: paths of git submodules
    :param lookaside: names of files in the lookaside cache
    """

    def __init__(
        self, root: Path, tracked: Iterable[str], submodules: Iterable[str] = (), lookaside: Iterable[str] = ()
    ) -> None:
        self._root = root
        self._submodules = frozenset(submodules)
        self._tracked = frozenset(tracked) - self._submodules
        self._lookaside = frozenset(lookaside)
        self._names: dict[str, set[str]] = {"": set()}
        for path in (*self._tracked, *self._submodules, *self._lookaside):
            while path:
                directory, name = posixpath.split(path)
                known = directory in self._names
                self._names.setdefault(directory, set()).add(name)
                path = "" if known else directory

    def submodules(self) -> frozenset[str]:
        """Return the paths of all git submodules."""
        return self._submodules

    def kind(self, path: str) -> Kind | None:
        """Return the kind of a file."""
        if path in self._submodules:
            return Kind.SUBMODULE
        if path in self._tracked:
            try:
                return Kind.LINK if stat.S_ISLNK(os.lstat(self._root / path).st_mode) else Kind.FILE
            except (OSError, ValueError):
                return Kind.FILE  # deleted, which is an uncommitted change
        if path in self._names:
            return Kind.DIRECTORY
        return Kind.FILE if path in self._lookaside else None

    def names(self, path: str) -> Iterable[str]:
        """Return the names in a directory; empty if it does not exist."""
        return self._names.get(path, ())

    def target(self, path: str) -> str:
        """Return the target of a link as it is written; empty if it cannot be read."""
        try:
            return os.readlink(self._root / path)
        except (OSError, ValueError):
            return ""
