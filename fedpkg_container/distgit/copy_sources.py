"""Sources of COPY, ADD and bind mounts in the build context, checked as buildah reads them: by client and builder."""

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
#: Number of files after which a search gives up.
MAX_VISITED = 50_000


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


def sources(dockerfile: Dockerfile) -> Iterator[tuple[Instruction, str]]:
    """Yield the sources of COPY and ADD in the checkout, i.e. without those from stages or images."""
    for instruction in dockerfile.instructions:
        if instruction.name in ("COPY", "ADD") and not any(
            option.startswith("--from=") for option in instruction.options
        ):
            for pattern in _words(instruction):
                yield instruction, pattern


def _words(instruction: Instruction) -> list[str]:
    """Return the sources of an instruction, without URLs, here-documents and words with unknown variables."""
    words = [word.text for word in instruction.words[:-1] if word.is_known]
    return [word for word in words if not _URL.match(word) and not word.startswith("<<")]


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
        instructions: dict[int, tuple[Instruction, list[str]]] = {}
        for instruction, pattern in sources(dockerfile):
            instructions.setdefault(id(instruction), (instruction, []))[1].append(pattern)
        if instructions:
            yield from self.ignored.findings
        for instruction, patterns in instructions.values():
            for pattern, problem in self._instruction(patterns):
                yield _finding(f"{instruction.name}: {pattern}", problem, instruction.line)
        yield from self._mounts(dockerfile)

    def _instruction(self, patterns: list[str]) -> Iterator[tuple[str, Problem]]:
        """Yield the sources of an instruction that have a problem."""
        unmatched = []
        for pattern in patterns:
            path = relative(pattern)
            found = self.tree.glob(path)
            if found is None:
                continue
            if not found:
                unmatched.append(pattern)
                if any(character in path for character in wildcards.META):
                    continue
                submodule = self.tree.submodule_of(path)
                yield pattern, self._outside(pattern) or (_submodule(submodule) if submodule else self.missing(path))
                continue
            if outside := self._outside(pattern):
                predicate = f"{outside.predicate}: buildah copies {path or '.'}"
                yield pattern, replace(outside, severity=WARNING, predicate=predicate)
            for problem in self._matches(found):
                yield pattern, problem
        if len(unmatched) == len(patterns):  # buildah accepts a pattern without a match beside a source with one
            for pattern in unmatched:
                if any(character in relative(pattern) for character in wildcards.META):
                    yield pattern, self._outside(pattern) or self.missing(relative(pattern))

    def _outside(self, pattern: str) -> Problem | None:
        normal = posixpath.normpath(pattern.lstrip("/") or ".")
        if normal == ".." or normal.startswith("../"):
            return Problem("copy-outside", ERROR, "is outside the checkout", "copy it into the checkout")
        return None

    def _matches(self, found: list[str]) -> Iterator[Problem]:
        """Yield the problems of the files that a source matches: broken links, submodules, and excluded files."""
        copied, is_unknown = 0, False
        for path in found:
            excluded = bool(path) and self.ignored.excludes(path)
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
                if submodule := self.tree.submodule_of(resolved):
                    yield _submodule(submodule)
                copied += 1
                continue
            content = _Content(self.tree, self.ignored)
            content.visit(resolved, self._walked(path, resolved))
            for submodule in content.submodules:
                yield _submodule(submodule)
            copied += not excluded or content.has_files is not False
            if content.has_files is False and content.has_excluded and not excluded:
                solution = f"remove its files from {self.ignored.name}"
                predicate = f"is copied empty: {self.ignored.name} excludes its files"
                yield Problem("copy-ignored", WARNING, predicate, solution)
        if not copied and not is_unknown:
            line = self.ignored.line_excluding(found[0])
            where = f"{self.ignored.name}:{line}" if line else self.ignored.name
            yield Problem("copy-ignored", ERROR, f"is excluded by {where}", f"add !{found[0]} to {self.ignored.name}")

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
                content = _Content(self.tree, IgnoreFile())
                if resolved is not None:
                    content.visit(resolved, resolved)
                for submodule in dict.fromkeys([*filter(None, [self.tree.submodule_of(relative(source))]),
                                                *content.submodules]):  # fmt: skip
                    yield _finding(f"RUN --mount: {source or '.'}", _submodule(submodule), instruction.line)


def _finding(subject: str, problem: Problem, line: int) -> Finding:
    return Finding(problem.code, problem.severity, f"{subject} {problem.predicate}", problem.solution, FILE, line)


def _submodule(path: str) -> Problem:
    solution = "add its files to the repository (git subtree add), or as an archive: fedpkg new-sources"
    return Problem("submodule", ERROR, f"includes the git submodule {path}, which builders do not fetch", solution)


@dataclass
class _Content:
    """What COPY of a directory copies.

    :param has_files: whether anything but directories is copied; None if that is unknown
    :param has_excluded: whether anything is excluded
    """

    tree: FileTree
    ignored: IgnoreFile
    has_files: bool | None = False
    has_excluded: bool = False

    def __post_init__(self) -> None:
        self.submodules: list[str] = []
        self._visited = 0

    def visit(self, top: str, walked: str) -> None:
        """Read a directory and those below it, by the rules of the ignore file.

        :param walked: path of the directory for these rules
        """
        pending = [(top, walked)]
        while pending:
            directory, walked = pending.pop()
            for name in sorted(self.tree.names(directory)):
                self._visited += 1
                if self._visited > MAX_VISITED:
                    self.has_files = self.has_files or None
                    return
                path, shown = posixpath.join(directory, name), posixpath.join(walked, name)
                kind = self.tree.kind(path)
                excluded = self.ignored.excludes(shown) if self.ignored.patterns else False
                self.has_excluded |= excluded is not False
                if kind is Kind.DIRECTORY:
                    if not excluded or self.ignored.includes_below(shown, walking=True):
                        pending.append((path, shown))
                elif excluded is None:
                    self.has_files = self.has_files or None
                elif not excluded and kind is Kind.SUBMODULE:
                    self.submodules.append(path)
                elif not excluded:
                    self.has_files = True
