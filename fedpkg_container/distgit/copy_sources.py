# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources of COPY, ADD and bind mounts in the build context, checked by client and builder with buildah's rules."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fedpkg_container.distgit import wildcards
from fedpkg_container.distgit.dockerfile import FILE, Dockerfile, Instruction
from fedpkg_container.distgit.file_tree import FileTree, Kind
from fedpkg_container.distgit.ignore_file import IgnoreFile
from fedpkg_container.model.findings import ERROR, WARNING, Finding

_URL = re.compile(r"(?:https?|ftp|git)://|git@")


@dataclass(frozen=True)
class Problem:
    """A problem of a source.

    :param code: code of the finding
    :param severity: ``error`` or ``warning``
    :param predicate: what is wrong, to be appended to the source
    """

    code: str
    severity: str
    predicate: str
    solution: str


#: Describes a source that does not exist.
Missing = Callable[[str], Problem]


def missing(_: str) -> Problem:
    """Describe a source that does not exist."""
    return Problem("copy-missing", ERROR, "does not exist", "add it, commit and push")


@dataclass(frozen=True)
class Copy:
    """A COPY or ADD of files in the checkout.

    :param sources: paths and patterns, without URLs, here-documents and words with unknown variables
    :param is_complete: whether no words with unknown variables are left out
    """

    instruction: Instruction
    sources: tuple[str, ...]
    is_complete: bool


def copies(dockerfile: Dockerfile) -> Iterator[Copy]:
    """Yield the COPY and ADD instructions, without those that copy from stages or images."""
    for instruction in dockerfile.instructions:
        if instruction.name not in ("COPY", "ADD") or any(
            option.startswith("--from=") for option in instruction.options
        ):
            continue
        words = [word for word in instruction.words[:-1] if not word.is_known or _is_path(word.text)]
        if words:
            known = tuple(word.text for word in words if word.is_known)
            yield Copy(instruction, known, len(known) == len(words))


def remote_sources(dockerfile: Dockerfile) -> Iterator[tuple[str, int]]:
    """Yield the sources of ADD that are fetched from the network, with the line of the instruction."""
    for instruction in dockerfile.instructions:
        if instruction.name == "ADD":
            yield from ((word, instruction.line) for word in instruction.arguments[:-1] if _URL.match(word))


def _is_path(source: str) -> bool:
    """Return whether a source is in the build context: neither a URL nor a here-document."""
    return not _URL.match(source) and not source.startswith("<<")


def relative(pattern: str) -> str:
    """Return the path or pattern that buildah uses for a source, relative to the checkout; empty for the checkout."""
    return posixpath.normpath(f"/{pattern}").lstrip("/")


@dataclass(frozen=True)
class ContextCheck:
    """The check of sources against a tree of files.

    :param missing: describes a source that the tree does not contain
    """

    tree: FileTree
    ignored: IgnoreFile
    missing: Missing = missing

    def findings(self, dockerfile: Dockerfile) -> Iterator[Finding]:
        """Yield the findings about all sources in a Dockerfile."""
        all_copies = list(copies(dockerfile))
        if all_copies:
            yield from self.ignored.findings
        for copy in all_copies:
            for pattern, problem in self._copy(copy):
                yield _finding(f"{copy.instruction.name}: {pattern}", problem, copy.instruction.line)
        yield from self._mounts(dockerfile)

    def _copy(self, copy: Copy) -> Iterator[tuple[str, Problem]]:
        """Yield the sources of an instruction that have a problem."""
        unmatched = []
        for pattern in copy.sources:
            path = relative(pattern)
            matches = self.tree.glob(path)
            if matches is None:
                continue
            if not matches:
                unmatched.append(pattern)
                if any(character in path for character in wildcards.META):
                    continue
                submodule = self.tree.submodule_of(path)
                yield pattern, self._outside(pattern) or (_submodule(submodule) if submodule else self.missing(path))
                continue
            if outside := self._outside(pattern):
                predicate = f"{outside.predicate}: buildah copies {path or '.'}"
                yield pattern, replace(outside, severity=WARNING, predicate=predicate)
            for problem in self._matches(matches):
                yield pattern, problem
        # buildah accepts a pattern without a match beside a source with one.
        if copy.is_complete and len(unmatched) == len(copy.sources):
            for pattern in unmatched:
                if any(character in relative(pattern) for character in wildcards.META):
                    yield pattern, self._outside(pattern) or self.missing(relative(pattern))

    def _outside(self, pattern: str) -> Problem | None:
        normal = posixpath.normpath(pattern.lstrip("/") or ".")
        if normal == ".." or normal.startswith("../"):
            return Problem("copy-outside", ERROR, "is outside the checkout", "copy it into the checkout")
        return None

    def _matches(self, paths: list[str]) -> Iterator[Problem]:
        """Yield the problems of the files that a source matches: broken links, submodules, and excluded files."""
        copied, is_unknown = 0, False
        for path in paths:
            if not self.tree.spend(len(path)):
                return
            excluded = bool(path) and _excludes(self.tree, self.ignored, path)
            resolved = self.tree.resolve(path)
            kind = self.tree.kind(resolved) if resolved is not None else None
            if excluded and (kind is not Kind.DIRECTORY or not self.ignored.includes_below(path)):
                continue
            if excluded is None:
                is_unknown = True
                continue
            if resolved is None:
                yield Problem(
                    "copy-missing", ERROR, f"is a broken link, or leads out of the checkout: {path}", "fix the link"
                )
                return
            if kind is not Kind.DIRECTORY:
                if kind is Kind.SUBMODULE:
                    yield _submodule(resolved)
                copied += 1
                continue
            directory = _Directory(self.tree, self.ignored, resolved, self._walked(path, resolved))
            for submodule in directory.submodules():
                yield _submodule(submodule)
            has_files, has_excluded = directory.content() if self.ignored.patterns else (True, False)
            copied += not excluded or has_files is not False
            if has_files is False and has_excluded and not excluded:
                solution = f"remove its files from {self.ignored.name}"
                predicate = f"is copied empty: {self.ignored.name} excludes its files"
                yield Problem("copy-ignored", WARNING, predicate, solution)
        if not copied and not is_unknown:
            line = self.ignored.line_excluding(paths[0])
            where = f"{self.ignored.name}:{line}" if line else self.ignored.name
            yield Problem("copy-ignored", ERROR, f"is excluded by {where}", f"add !{paths[0]} to {self.ignored.name}")

    def _walked(self, path: str, resolved: str) -> str:
        """Return the path that buildah compares with patterns: it resolves a link, but not links in its directories."""
        directory, name = posixpath.split(path)
        parent = self.tree.resolve(directory) or ""
        return resolved if self.tree.kind(posixpath.join(parent, name)) is Kind.LINK else path

    def _mounts(self, dockerfile: Dockerfile) -> Iterator[Finding]:
        """Yield findings about submodules in bind mounts, to which the ignore file does not apply."""
        for instruction in dockerfile.instructions:
            for option in instruction.options if instruction.name == "RUN" else ():
                name, _, value = option.partition("=")
                settings = dict(part.partition("=")[::2] for part in value.split(","))
                if name != "--mount" or settings.get("type", "bind") != "bind" or "from" in settings:
                    continue
                source = settings.get("source", settings.get("src", ""))
                resolved = self.tree.resolve(relative(source))
                copied = [submodule] if (submodule := self.tree.submodule_of(relative(source))) else []
                if resolved is not None:
                    copied += _Directory(self.tree, IgnoreFile(), resolved, resolved).submodules()
                for submodule in copied:
                    yield _finding(f"RUN --mount: {source or '.'}", _submodule(submodule), instruction.line)


def _finding(subject: str, problem: Problem, line: int) -> Finding:
    return Finding(problem.code, problem.severity, f"{subject} {problem.predicate}", problem.solution, FILE, line)


def _submodule(path: str) -> Problem:
    solution = "add its files to the repository (git subtree add), or as an archive: fedpkg new-sources"
    return Problem("submodule", ERROR, f"includes the git submodule {path}, which builders do not fetch", solution)


def _excludes(tree: FileTree, ignored: IgnoreFile, path: str) -> bool | None:
    """Return whether an ignore file excludes a path; None if that is unknown, or takes too long."""
    if not ignored.patterns:
        return False
    return ignored.excludes(path) if tree.spend(len(path) * ignored.weight) else None


@dataclass(frozen=True)
class _Directory:
    """A directory that COPY copies.

    :param top: its path, without links
    :param walked: its path for the rules of the ignore file
    """

    tree: FileTree
    ignored: IgnoreFile
    top: str
    walked: str

    def content(self) -> tuple[bool | None, bool]:
        """Return whether any file is copied, None if that is unknown; and whether any is excluded, as far as read."""
        has_files: bool | None = False
        has_excluded = False
        pending = [(self.top, self.walked)]
        while pending:
            directory, walked = pending.pop()
            for name in sorted(self.tree.names(directory)):
                if not self.tree.spend(len(name)):
                    return None, has_excluded
                path, shown = posixpath.join(directory, name), posixpath.join(walked, name)
                excluded = _excludes(self.tree, self.ignored, shown)
                has_excluded |= excluded is not False
                if self.tree.kind(path) is Kind.DIRECTORY:
                    if not excluded or self.ignored.includes_below(shown, walking=True):
                        pending.append((path, shown))
                elif excluded is None:
                    has_files = None
                elif not excluded:
                    return True, has_excluded
        return has_files, has_excluded

    def submodules(self) -> Iterator[str]:
        """Yield the git submodules that are copied."""
        prefix = f"{self.top}/" if self.top else ""
        for submodule in sorted(self.tree.submodules()) if self.tree.spend(1) else ():
            if not self.tree.spend(len(submodule)):
                return
            if submodule.startswith(prefix) and self._copies(submodule[len(prefix) :]):
                yield submodule

    def _copies(self, path: str) -> bool:
        """Return whether a directory below this one is copied, and not excluded with one of those above it."""
        names = path.split("/")
        for length in range(1, len(names) + 1):
            shown = posixpath.join(self.walked, *names[:length])
            is_last = length == len(names)
            if _excludes(self.tree, self.ignored, shown) and (
                is_last or not self.ignored.includes_below(shown, walking=True)
            ):
                return False
        return True
