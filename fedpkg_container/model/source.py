"""What may be the source of a build: for the hub, before a task exists, and for builders."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

#: The form of a source's URL.
FORM = "git+https://HOST/PATH#COMMIT"
_PASSWORD = re.compile(r"[^/?#]*://[^/?#]*:[^/?#@]*@")


def has_password(url: str) -> bool:
    """Whether a URL has a password: ``user:password@host``, which would be shown to all who see the task."""
    return _PASSWORD.match(url) is not None


def source_problem(scm: Any) -> tuple[str, str]:
    """Why a source is not built, and what to do; empty when it is.

    :param scm: the URL, taken apart by ``koji.daemon.SCM``
    """
    if not scm.scheme.startswith("git"):
        return f"sources of kind {scm.scheme} are not built", f"give {FORM}"
    if "ssh" in scm.scheme:
        return "sources are not fetched by ssh: builders give no keys to the process that does it", f"give {FORM}"
    if has_password(scm.url):
        return "a source with a password is not built", f"give {FORM}"
    if scm.module:
        reason = f"a folder within a repository is not built: ?{scm.module[:80]}"
        return reason, "move the Dockerfile to the top of a repository of its own"
    if "%" in scm.url.partition("#")[0]:  # koji before 1.36 leaves %2e%2e in a path, and a server may read it as ..
        return f"a path with % is not built: {scm.url}", f"give {FORM}"
    return "", ""


def address(scm: Any) -> str:
    """A source without its commit, with the user if it names one."""
    user = f"{scm.user}@" if scm.user else ""
    return f"{scm.scheme}{user}{scm.host}{scm.repository}"


def repository_path(source: str) -> str:
    """The path of a source's repository, without ``.git``: ``container/hello`` for ``git+https://HOST/container/hello``.

    :param source: URL, with or without a commit
    """
    path = urllib.parse.urlsplit(source.partition("#")[0].removeprefix("git+")).path
    return path.strip("/").removesuffix(".git")


def own_components(repository: str) -> tuple[str, str]:
    """The packages that every repository may build: called like it, with and without ``-container``.

    :param repository: its path, or the last part of that
    """
    name = repository.rpartition("/")[2]
    return name, f"{name}-container"
