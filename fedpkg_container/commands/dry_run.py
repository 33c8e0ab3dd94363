# SPDX-License-Identifier: GPL-2.0-or-later
"""Additional checks of ``--dry-run``, for everything that the hub or the builder would refuse after the submission."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fedpkg_container.model.findings import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from fedpkg_container.distgit.dockerfile import Dockerfile
    from fedpkg_container.model.build import BuildRequest, Preflight

#: Seconds for all .repo files.
FILES_TIMEOUT = 15.0


def check_content(request: BuildRequest, dockerfile: Dockerfile | None, preflight: Preflight) -> Iterator[Finding]:
    """Yield findings about the images in FROM and the files of ``--repo-url``, which are read from the network."""
    from fedpkg_container.commands.parents import check_parents

    if dockerfile is not None:
        yield from check_parents(dockerfile, preflight.arches, replaced=bool(request.options.get("koji_parent_build")))
    yield from _repo_files(request)


def _repo_files(request: BuildRequest) -> Iterator[Finding]:
    from configparser import Error

    from requests import HTTPError

    from fedpkg_container.commands.option_checks import check_repo_url
    from fedpkg_container.errors import FedpkgContainerError
    from fedpkg_container.image.resolve.repo_files import fetch_repo_file
    from fedpkg_container.model.limits import Deadline

    deadline = Deadline("reading the .repo files", FILES_TIMEOUT)
    for url in request.options.get("yum_repourls") or ():
        if check_repo_url(url):
            continue
        try:
            fetch_repo_file(url, deadline=deadline)
        except FedpkgContainerError as error:
            is_certain = isinstance(error.__cause__, (Error, HTTPError))  # a builder may reach other servers
            severity = ERROR if is_certain else WARNING
            yield Finding("repo-file", severity, error.reason, error.solution or "check the URL")
