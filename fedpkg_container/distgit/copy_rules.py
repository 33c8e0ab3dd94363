"""Checks of the sources of COPY and ADD: builders only have the files that are in git or in the lookaside cache."""

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
_URL = re.compile(r"(?:https?|ftp|git)://|git@")


def check(dockerfile: Dockerfile, path: Path, tracked: frozenset[str] | None) -> Iterator[Finding]:
    """Yield findings about sources of COPY and ADD.

    :param tracked: files tracked by git; None to check files on disk
    """
    try:
        lookaside = frozenset(_lookaside(path))
    except (rpkgError, OSError, ValueError) as error:
        reason = f"cannot read {SOURCES}: {error}"
        yield Finding("sources", ERROR, reason, "recreate it: fedpkg new-sources", SOURCES)
        lookaside = frozenset()
    local = tracked is None
    for name in sorted(lookaside & (tracked or frozenset())):
        reason = f"{name} is both tracked by git and listed in {SOURCES}"
        yield Finding("lookaside", ERROR, reason, f"remove it from git or from {SOURCES}", SOURCES)
    files = _Files(frozenset(_with_directories(tracked or ())), lookaside, path)
    for instruction, pattern in _sources(dockerfile):
        yield from _check_source(pattern, instruction, files, local=local)


def copied_directories(dockerfile: Dockerfile) -> Iterator[tuple[str, int]]:
    """Yield sources of COPY and ADD that may be directories, with their lines; ``.`` is the whole checkout."""
    for instruction, pattern in _sources(dockerfile):
        if not _is_pattern(pattern):
            yield posixpath.normpath(pattern.lstrip("/") or "."), instruction.line


def _sources(dockerfile: Dockerfile) -> Iterator[tuple[Instruction, str]]:
    """Yield the sources of COPY and ADD in the checkout, i.e. without those from stages or images."""
    for instruction in dockerfile.instructions:
        if instruction.name in ("COPY", "ADD") and not any(
            option.startswith("--from=") for option in instruction.options
        ):
            for pattern in _patterns(instruction):
                yield instruction, pattern


@dataclass(frozen=True)
class _Files:
    """Names of files and directories, relative to the checkout: tracked by git, and in the lookaside cache."""

    tracked: frozenset[str]
    lookaside: frozenset[str]
    path: Path

    def on_builders(self, pattern: str) -> bool:
        """Whether the pattern matches a file available on builders."""
        return _matches(pattern, self.tracked) or _matches(pattern, self.lookaside)

    def on_disk(self, pattern: str) -> bool:
        """Whether the pattern matches a file on disk."""
        if "\0" in pattern:
            return False
        if not _is_pattern(pattern):
            return os.path.lexists(self.path / pattern)
        names = (str(path.relative_to(self.path)) for path in self.path.rglob("*") if ".git" not in path.parts)
        return _matches(pattern, frozenset(names))


def _patterns(instruction: Instruction) -> list[str]:
    """Return the sources of an instruction, without URLs, here-documents and words with unknown variables."""
    try:
        arguments = instruction.arguments
    except ValueError:
        return []
    has_unknown = "$" in instruction.value
    return [
        word
        for word in arguments[:-1]
        if not _URL.match(word) and not word.startswith("<<") and not (has_unknown and _is_incomplete(word))
    ]


def _is_incomplete(word: str) -> bool:
    """Whether a word may lack the value of a variable that is only known during the build."""
    return "$" in word or word.startswith("/") or word.endswith("/") or "//" in word or not word.strip("./")


def _check_source(pattern: str, instruction: Instruction, files: _Files, *, local: bool) -> Iterator[Finding]:
    source = posixpath.normpath(pattern.lstrip("/") or ".")
    problem: tuple[str, str, str] | None = None
    if source == ".." or source.startswith("../"):
        problem = ("copy-outside", "is outside the checkout", "copy it into the checkout")
    elif source == "." or (not local and files.on_builders(source)) or (local and files.on_disk(source)):
        return
    elif local:
        in_lookaside = _matches(source, files.lookaside)
        problem = ("copy-missing", "does not exist", "download it: fedpkg sources" if in_lookaside else "add it")
    elif files.on_disk(source):
        problem = ("copy-untracked", "is not tracked by git", f"git add {shlex.quote(source)}, commit and push")
    else:
        problem = ("copy-missing", "does not exist", "add it, commit and push")
    code, why, solution = problem
    yield Finding(code, ERROR, f"{instruction.name}: {pattern} {why}", solution, FILE, instruction.line)


def _lookaside(path: Path) -> Iterator[str]:
    """Yield the names of the files listed in ``sources``."""
    listing = path / SOURCES
    if os.path.lexists(listing):
        yield from (entry.file for entry in SourcesFile(str(listing), "bsd").entries)


def _with_directories(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        directory = posixpath.dirname(name)
        while directory:
            yield directory
            directory = posixpath.dirname(directory)


def _matches(pattern: str, names: frozenset[str]) -> bool:
    """Whether a name matches by the rules of Go's filepath.Match: ``*`` does not match ``/``."""
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
    return any(character in text for character in "*?[")
