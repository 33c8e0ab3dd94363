"""The rules over what COPY and ADD take: builders have what is in git, and nothing else."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyrpkg.errors import rpkgError
from pyrpkg.sources import SourcesFile

from fedpkg_container.distgit.checkout import Checkout
from fedpkg_container.distgit.dockerfile import Dockerfile, Instruction
from fedpkg_container.distgit.dockerfile_rules import FILE
from fedpkg_container.model.finding import ERROR, Finding

SOURCES = "sources"
_ADDRESS = re.compile(r"(?:https?|ftp|git)://|git@")


def check(dockerfile: Dockerfile, checkout: Checkout, *, local: bool) -> Iterator[Finding]:
    """Findings about sources of COPY and ADD.

    :param local: what is on disk counts, not what is in git
    """
    try:
        lookaside = frozenset(_lookaside(checkout.path))
    except (rpkgError, OSError, UnicodeDecodeError, ValueError) as error:
        yield Finding(
            "sources", ERROR, f"{SOURCES} cannot be read: {error}", "make it anew: fedpkg new-sources", SOURCES
        )
        lookaside = frozenset()
    tracked = frozenset(_with_folders(checkout.tracked))
    for instruction in dockerfile.instructions:
        if instruction.name in ("COPY", "ADD") and not any(each.startswith("--from=") for each in instruction.options):
            for pattern in _patterns(instruction):
                yield from _one(pattern, instruction, checkout, tracked, lookaside, local=local)


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


def _one(
    pattern: str,
    instruction: Instruction,
    checkout: Checkout,
    tracked: frozenset[str],
    lookaside: frozenset[str],
    *,
    local: bool,
) -> Iterator[Finding]:
    wanted = posixpath.normpath(pattern.lstrip("/") or ".")
    what = f"{instruction.name} takes {pattern}"
    if wanted == ".." or wanted.startswith("../"):
        yield Finding(
            "copy-outside",
            ERROR,
            f"{what}, which is outside of the checkout",
            "copy it into it",
            FILE,
            instruction.line,
        )
    elif wanted == "." or (_matches(wanted, tracked) and not local):
        return
    elif _on_disk(wanted, checkout.path):
        if local:
            return
        if _matches(wanted, lookaside):
            yield _in_lookaside(what, instruction)
            return
        yield Finding(
            "copy-untracked",
            ERROR,
            f"{what}, which is here but not in git",
            f"add it: git add {wanted}, commit and push",
            FILE,
            instruction.line,
        )
    elif _matches(wanted, lookaside):
        if local:
            yield Finding(
                "copy-missing", ERROR, f"{what}, which is not here", "fetch it: fedpkg sources", FILE, instruction.line
            )
        else:
            yield _in_lookaside(what, instruction)
    else:
        hint = "add it, commit and push" if not local else "add it"
        yield Finding("copy-missing", ERROR, f"{what}, which is not here", hint, FILE, instruction.line)


def _in_lookaside(what: str, instruction: Instruction) -> Finding:
    return Finding(
        "lookaside",
        ERROR,
        f"{what}, which is in the lookaside cache: builders of this version do not read that",
        "add it to git, or build it with --local",
        FILE,
        instruction.line,
    )


def _lookaside(path: Path) -> Iterator[str]:
    """Names of files that ``sources`` lists."""
    listing = path / SOURCES
    if listing.is_file():
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
    if not any(each in pattern for each in "*?["):
        return False
    parts = pattern.split("/")
    for name in names:
        words = name.split("/")
        if len(words) == len(parts) and all(fnmatch.fnmatchcase(word, part) for word, part in zip(words, parts)):
            return True
    return False


def _on_disk(pattern: str, path: Path) -> bool:
    if "\0" in pattern:
        return False
    if not any(each in pattern for each in "*?["):
        return (path / pattern).exists()
    names = (str(each.relative_to(path)) for each in path.rglob("*") if ".git" not in each.parts)
    return _matches(pattern, frozenset(names))
