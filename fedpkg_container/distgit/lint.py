# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of files, in or outside of a checkout: of one file, one container, or all containers below a directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fedpkg_container.distgit import additional_tags, container_yaml, copy_rules
from fedpkg_container.distgit.dockerfile import find_file
from fedpkg_container.distgit.file_rules import HELP, check_files
from fedpkg_container.distgit.ignore_file import NAMES, SUFFIXES
from fedpkg_container.errors import UsageError
from fedpkg_container.model.findings import Finding
from fedpkg_container.text import os_error_text

#: Maximum number of directories to search for containers below one path.
MAX_DIRECTORIES = 20_000
#: Files that are checked as part of the container in their directory; any other file is read as a Dockerfile.
_OTHERS = frozenset(
    (HELP, copy_rules.SOURCES, additional_tags.FILE, container_yaml.FILE, *container_yaml.MISNAMED, *NAMES)
)


@dataclass(frozen=True)
class Container:
    """A container's directory, or one of its files.

    :param file: the file to report about; empty for all
    """

    directory: Path
    file: str = ""

    def check(self) -> Iterator[Finding]:
        """Yield its findings; their files are relative to the working directory, or absolute if the directory is."""
        is_other = self.file in _OTHERS or self.file.endswith(SUFFIXES)
        dockerfile = "" if is_other else self.file
        for finding in check_files(self.directory, dockerfile=dockerfile, is_fetched=True):
            if self.file in ("", finding.file):
                yield replace(finding, file=os.path.normpath(self.directory / finding.file))


def find_containers(paths: Iterable[Path]) -> list[Container]:
    """Return the containers at paths, without duplicates.

    :param paths: files; directories with a Dockerfile or Containerfile; or directories that are searched for these.
        A directory without any is a container too, whose Dockerfile is missing
    :raises UsageError: if a path does not exist, cannot be read, or has too many directories
    """
    unique: dict[Container, None] = {}
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist", solution="pass directories, Dockerfiles or Containerfiles")
        if path.is_dir():
            containers = [Container(each) for each in _search(path)] or [Container(path)]
        else:
            containers = [Container(path.parent, path.name)]
        unique |= dict.fromkeys(containers)
    return list(unique)


def _search(top: Path) -> Iterator[Path]:
    """Yield the directories with a Dockerfile at or below a directory, in order.

    Everything below such a directory belongs to its container. Links are not followed; hidden directories are skipped.
    """
    pending, read = [top], 0
    while pending:
        directory = pending.pop()
        if os.path.lexists(directory / find_file(directory)):
            yield directory
            continue
        read += 1
        if read > MAX_DIRECTORIES:
            raise UsageError(
                f"there are more than {MAX_DIRECTORIES} directories below {top}", solution="pass some of them instead"
            )
        pending += sorted(_subdirectories(directory), reverse=True)


def _subdirectories(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [
                directory / entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except OSError as error:
        raise UsageError(
            f"cannot read {os_error_text(error)}", solution="pass the directories that can be read"
        ) from error
