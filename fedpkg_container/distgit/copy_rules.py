"""The rules over what COPY and ADD take: builders have what is in git, and nothing else."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyrpkg.errors import rpkgError
from pyrpkg.sources import SourcesFile

from fedpkg_container.distgit.dockerfile import FILE, Dockerfile, Instruction
from fedpkg_container.model.findings import ERROR, Finding

SOURCES = "sources"
_ADDRESS = re.compile(r"(?:https?|ftp|git)://|git@")


def check(dockerfile: Dockerfile, path: Path, tracked: frozenset[str] | None) -> Iterator[Finding]:
    """Findings about sources of COPY and ADD.

    :param tracked: files that git has; None: what is on disk counts
    """
    try:
        lookaside = frozenset(_lookaside(path))
    except (rpkgError, OSError, ValueError) as error:
        reason = f"{SOURCES} cannot be read: {error}"
        yield Finding("sources", ERROR, reason, "make it anew: fedpkg new-sources", SOURCES)
        lookaside = frozenset()
    local = tracked is None
    for name in sorted(lookaside & (tracked or frozenset())):
        reason = f"{name} is in git, and {SOURCES} lists it as well"
        yield Finding("lookaside", ERROR, reason, "remove it from one of the two", SOURCES)
    has = _Has(frozenset(_with_folders(tracked or ())), lookaside, path)
    for instruction in dockerfile.instructions:
        if instruction.name in ("COPY", "ADD") and not any(each.startswith("--from=") for each in instruction.options):
            for pattern in _patterns(instruction):
                yield from _one(pattern, instruction, has, local=local)


def folders(dockerfile: Dockerfile) -> Iterator[tuple[str, int]]:
    """What COPY and ADD take that may be a folder, with the lines; ``.`` for the whole checkout."""
    for instruction in dockerfile.instructions:
        if instruction.name in ("COPY", "ADD") and not any(each.startswith("--from=") for each in instruction.options):
            for pattern in _patterns(instruction):
                if not _is_pattern(pattern):
                    yield posixpath.normpath(pattern.lstrip("/") or "."), instruction.line


@dataclass(frozen=True)
class _Has:
    """Names of files and folders, relative to the checkout: those in git, and those in the lookaside cache."""

    tracked: frozenset[str]
    lookaside: frozenset[str]
    path: Path

    def on_builders(self, pattern: str) -> bool:
        """Whether something that builders have matches."""
        return _matches(pattern, self.tracked) or _matches(pattern, self.lookaside)

    def on_disk(self, pattern: str) -> bool:
        """Whether something on disk matches."""
        if "\0" in pattern:
            return False
        if not _is_pattern(pattern):
            return os.path.lexists(self.path / pattern)
        names = (str(each.relative_to(self.path)) for each in self.path.rglob("*") if ".git" not in each.parts)
        return _matches(pattern, frozenset(names))


def _patterns(instruction: Instruction) -> list[str]:
    """What is taken from the checkout: all but the last argument, addresses, here-documents and unknown variables."""
    try:
        arguments = instruction.arguments
    except ValueError:
        return []
    unknown = "$" in instruction.value
    return [
        each
        for each in arguments[:-1]
        if not _ADDRESS.match(each) and not each.startswith("<<") and not (unknown and _is_hollow(each))
    ]


def _is_hollow(word: str) -> bool:
    """Whether a variable that only the build knows may have left a hole in it."""
    return "$" in word or word.startswith("/") or word.endswith("/") or "//" in word or not word.strip("./")


def _one(pattern: str, instruction: Instruction, has: _Has, *, local: bool) -> Iterator[Finding]:
    wanted = posixpath.normpath(pattern.lstrip("/") or ".")
    problem: tuple[str, str, str] | None = None
    if wanted == ".." or wanted.startswith("../"):
        problem = ("copy-outside", "which is outside of the checkout", "copy it into it")
    elif wanted == "." or (not local and has.on_builders(wanted)) or (local and has.on_disk(wanted)):
        return
    elif local:
        fetch = _matches(wanted, has.lookaside)
        problem = ("copy-missing", "which is not here", "fetch it: fedpkg sources" if fetch else "add it")
    elif has.on_disk(wanted):
        problem = ("copy-untracked", "which is here but not in git", f"git add {shlex.quote(wanted)}, commit and push")
    else:
        problem = ("copy-missing", "which is not here", "add it, commit and push")
    code, why, solution = problem
    yield Finding(code, ERROR, f"{instruction.name} takes {pattern}, {why}", solution, FILE, instruction.line)


def _lookaside(path: Path) -> Iterator[str]:
    """Names of files that ``sources`` lists."""
    listing = path / SOURCES
    if os.path.lexists(listing):
        yield from (entry.file for entry in SourcesFile(str(listing), "bsd").entries)


def _with_folders(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        folder = posixpath.dirname(name)
        while folder:
            yield folder
            folder = posixpath.dirname(folder)


def _matches(pattern: str, names: frozenset[str]) -> bool:
    """Whether a name matches as Go's filepath.Match has it: ``*`` stays within one folder."""
    if pattern in names:
        return True
    if not _is_pattern(pattern):
        return False
    parts = pattern.split("/")
    for name in names:
        words = name.split("/")
        if len(words) == len(parts) and all(fnmatch.fnmatchcase(word, part) for word, part in zip(words, parts)):
            return True
    return False


def _is_pattern(text: str) -> bool:
    return any(each in text for each in "*?[")
