# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the files of a container, without git, a site or a hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.distgit import additional_tags, container_yaml, copy_rules, dockerfile_rules, label_rules
from fedpkg_container.distgit.dockerfile import FILES, Dockerfile, find_file
from fedpkg_container.distgit.dockerfile_rules import named
from fedpkg_container.distgit.safe_read import read_bytes
from fedpkg_container.errors import RefusedError
from fedpkg_container.model.findings import ERROR, WARNING, Finding

HELP = "help.md"


def check_files(
    path: Path, submodules: frozenset[str] = frozenset(), *, dockerfile: str = "", is_fetched: bool = False
) -> list[Finding]:
    """Return all findings about the files of a container on disk, ignoring git.

    :param path: directory
    :param submodules: paths of git submodules
    :param dockerfile: name of its Dockerfile; by default the one that buildah uses
    :param is_fetched: whether the files listed in ``sources`` count as existing, as on builders
    """
    reading, unreadable = read(path, dockerfile)
    return [*unreadable, *check(path, reading, None, submodules, is_fetched=is_fetched)]


def read(path: Path, name: str = "") -> tuple[Dockerfile | None, list[Finding]]:
    """Read the Dockerfile; return it, or a finding if it cannot be read.

    :param name: file name; by default the one that buildah uses
    """
    try:
        return Dockerfile.read(path, name=name), []
    except RefusedError as error:
        return None, [Finding("no-dockerfile", ERROR, error.reason, error.solution, name or find_file(path))]


def check(
    path: Path,
    dockerfile: Dockerfile | None,
    tracked: frozenset[str] | None,
    submodules: frozenset[str],
    *,
    is_fetched: bool = False,
) -> Iterator[Finding]:
    """Yield findings about files.

    :param tracked: files tracked by git; None to check files on disk
    :param submodules: paths of git submodules
    :param is_fetched: with files on disk: whether those listed in ``sources`` count as existing
    """
    if dockerfile is not None:
        findings = [
            *dockerfile_rules.check(dockerfile),
            *dockerfile_rules.check_run(dockerfile),
            *copy_rules.check(dockerfile, path, tracked, submodules, is_fetched=is_fetched),
            *label_rules.check(dockerfile),
        ]
        yield from named(findings, dockerfile)
        if dockerfile.file == find_file(path):
            yield from _other_dockerfile(path, dockerfile)
    yield from container_yaml.check(path)
    yield from additional_tags.check(path)
    yield from _help(path)


def _other_dockerfile(path: Path, dockerfile: Dockerfile) -> Iterator[Finding]:
    """Check that a Dockerfile beside a Containerfile has the same content."""
    for name in FILES:
        if name == dockerfile.file or not os.path.lexists(path / name):
            continue
        try:
            is_equal = read_bytes(path, name) == read_bytes(path, dockerfile.file)
        except RefusedError:
            is_equal = False
        if not is_equal:
            message, solution = (
                f"{dockerfile.file} is used; {name} is ignored",
                f"delete {name}, or make it a link to {dockerfile.file}",
            )
            yield Finding("dockerfile-ignored", WARNING, message, solution, name)


def _help(directory: Path) -> Iterator[Finding]:
    try:
        content = read_bytes(directory, HELP)
    except RefusedError as error:
        yield Finding("help", ERROR, error.reason, error.solution, HELP)
        return
    if content is not None and not content.strip():
        yield Finding("help", WARNING, f"{HELP} is empty", "describe the image in it, or delete it", HELP)
