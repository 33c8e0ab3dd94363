# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the sources of COPY and ADD: builders only have the files that are in git or in the lookaside cache."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.distgit import copy_sources, wildcards
from fedpkg_container.distgit.copy_sources import ContextCheck, Problem
from fedpkg_container.distgit.dockerfile import FILE, Dockerfile
from fedpkg_container.distgit.file_tree import FileTree, TreeInGit, TreeOnDisk
from fedpkg_container.distgit.ignore_file import IgnoreFile
from fedpkg_container.distgit.safe_read import read_bytes
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.text import reason_text, strip_credentials

SOURCES = "sources"


def check(
    dockerfile: Dockerfile,
    path: Path,
    tracked: frozenset[str] | None,
    submodules: frozenset[str] = frozenset(),
    *,
    is_fetched: bool = False,
) -> Iterator[Finding]:
    """Yield findings about sources of COPY and ADD.

    :param tracked: files tracked by git; None to check files on disk
    :param submodules: paths of git submodules
    :param is_fetched: with files on disk: whether those listed in ``sources`` count as existing, as on builders
    """
    lookaside: frozenset[str] = frozenset()
    try:
        lookaside = _lookaside(path)
    except RefusedError as error:
        yield Finding("sources", ERROR, error.reason, error.solution, SOURCES)
    for name in sorted(lookaside & (tracked or frozenset())):
        reason = f"{name} is both tracked by git and listed in {SOURCES}"
        yield Finding("lookaside", ERROR, reason, f"remove it from git or from {SOURCES}", SOURCES)
    on_disk = TreeOnDisk(path, submodules=submodules, extra=lookaside if is_fetched else ())
    tree: FileTree = on_disk if tracked is None else TreeInGit(path, tracked, submodules, lookaside)

    def missing(source: str) -> Problem:
        if tracked is None:
            in_lookaside = TreeInGit(path, (), (), lookaside).glob(source)
            solution = "download it: fedpkg sources" if in_lookaside else "add it"
            return Problem("copy-missing", ERROR, "does not exist", solution)
        if on_disk.glob(source):
            solution = f"git add {shlex.quote(source)}, commit and push"
            return Problem("copy-untracked", ERROR, "is not tracked by git", solution)
        return copy_sources.missing(source)

    yield from ContextCheck(tree, IgnoreFile.read(path, dockerfile.file), missing).findings(dockerfile)
    for source, line in copy_sources.remote_sources(dockerfile):
        message = f"ADD: {strip_credentials(source)} needs network access, which builds have only if the site allows it"
        solution = "add the file with fedpkg new-sources, and copy it with COPY"
        yield Finding("add-network", WARNING, message, solution, FILE, line)


def untracked(dockerfile: Dockerfile, path: Path, names: tuple[str, ...]) -> Iterator[tuple[list[str], int]]:
    """Yield the untracked files that a local build copies with their directory, with the line of the instruction.

    :param names: files that are not tracked by git
    """
    ignored, tree = IgnoreFile.read(path, dockerfile.file), TreeOnDisk(path)
    copies = copy_sources.copies(dockerfile) if names else ()
    for line, pattern in ((copy.instruction.line, source) for copy in copies for source in copy.sources):
        source = copy_sources.relative(pattern)
        if any(character in source for character in wildcards.META):
            continue
        directory = tree.resolve(source) or source
        inside = [name for name in names if not directory or name.startswith(f"{directory}/")]
        if copied := [name for name in inside if not ignored.excludes(name)]:
            yield copied, line


def _lookaside(path: Path) -> frozenset[str]:
    """Return the names of the files listed in ``sources``.

    :raises RefusedError: if it cannot be read
    """
    if read_bytes(path, SOURCES) is None:
        return frozenset()
    from pyrpkg.errors import rpkgError  # only if it is needed: it imports git
    from pyrpkg.sources import SourcesFile

    try:
        return frozenset(entry.file for entry in SourcesFile(str(path / SOURCES), "bsd").entries)
    except (rpkgError, OSError, ValueError) as error:
        reason = f"cannot read {SOURCES}: {reason_text(error)}"
        raise RefusedError(reason, solution="recreate it: fedpkg new-sources") from error
