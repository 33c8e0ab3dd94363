# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the options of a build, without requests: those that the hub plugin repeats when a build is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fedpkg_container.model.findings import ERROR, Finding

if TYPE_CHECKING:
    from fedpkg_container.model.build import BuildRequest

_FORM = "use the form http(s)://HOST/PATH.repo"


def check_options(request: BuildRequest) -> Iterator[Finding]:
    """Yield findings about options that the hub plugin refuses.

    Types are not checked, as the options are from our parser, or accepted by the hub before (``--retry``).
    """
    from fedpkg_container.model.options import contradictions, unavailable_options, without_none

    yield from filter(None, map(check_repo_url, request.options.get("yum_repourls") or ()))
    others = without_none({**request.options, "yum_repourls": None})
    for problem in contradictions(others) or unavailable_options(others):
        yield Finding("build-options", ERROR, f"the hub refuses the build: {problem}", "remove the option")


def check_repo_url(url: str) -> Finding | None:
    """Return a finding about a URL of ``--repo-url``; None if it is valid."""
    from fedpkg_container.model.options import repo_url_problem
    from fedpkg_container.text import strip_credentials

    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and not set(url) & set(" \t\n")
    except ValueError:
        is_url = False
    if not is_url:
        return Finding("repo-url", ERROR, f"{strip_credentials(url)!r} is not a valid URL of a .repo file", _FORM)
    if problem := repo_url_problem(url):
        solution = f"{_FORM}; change the password if an earlier build used this URL"
        return Finding("repo-url", ERROR, f"{strip_credentials(url)} {problem}", solution)
    return None
