"""Checkout of a source at an exact commit, with git alone: no submodules, hooks or helpers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.engines.sandbox import confined, connected
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.model.options import address, source_problem
from fedpkg_container.process import Completed, run

#: Seconds per git command.
GIT_TIMEOUT = 600.0
_COMMIT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SAFE_OPTIONS = ("-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null")
#: Ignore the builder's own git configuration, with its helpers and filters.
_ENVIRONMENT = ("GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
#: The only git configuration; a local repository belongs to another user than the worker.
_GITCONFIG = "[safe]\n\tdirectory = *\n"
#: Environment variables that select a proxy.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True)
class Checkout:
    """A checkout.

    :param path: checkout directory
    :param source_url: its source URL, with the exact commit
    """

    path: Path
    source_url: str


def fetch_checkout(
    scm: Any, workspace: Workspace, report: Callable[[str], None], tick: Callable[[], None] = lambda: None
) -> Checkout:
    """Check out the commit of a source URL, in a worker.

    :param scm: the URL, parsed by ``koji.daemon.SCM``
    :param workspace: where the checkout is created
    :param tick: called before git starts, and every second while it runs
    :raises BuildFailedError: if such sources are not allowed, or the repository or commit cannot be read
    """
    reason, solution = source_problem(scm)
    if reason:
        raise BuildFailedError(reason, solution=solution)
    repository = address(scm)
    remote = repository.removeprefix("git+")
    report(f"fetching {remote} at {scm.revision}")
    path = workspace.new("source")
    gitconfig = workspace.folder / "gitconfig"
    gitconfig.write_text(_GITCONFIG)
    readable = [gitconfig, *([Path(scm.repository)] if scm.scheme == "git+file://" else [])]
    tick()

    def git(*arguments: str, check: bool = True) -> Completed:
        command = [
            "env",
            *_ENVIRONMENT,
            f"GIT_CONFIG_GLOBAL={gitconfig}",
            "git",
            "-C",
            str(path),
            *_SAFE_OPTIONS,
            *arguments,
        ]
        confined_command = connected(command, workspace, readable=readable, variables=PROXY_VARIABLES)
        return run(confined_command, timeout=GIT_TIMEOUT, check=check, tick=tick)

    try:
        git("init", "--quiet")
        git("remote", "add", "origin", remote)
        commit = _fetch_revision(git, scm.revision)
        git("checkout", "--quiet", "--detach", commit)
    except ProgramError as error:
        raise BuildFailedError(
            f"cannot fetch {scm.revision} from {remote}: {error.reason}",
            solution="check that the commit is pushed and that builders can read the repository",
        ) from error
    return Checkout(path, f"{repository}#{commit}")


def _fetch_revision(git: Callable[..., Completed], revision: str) -> str:
    """Fetch a revision, alone if the server allows it; return its commit ID.

    :param git: runs git in the checkout
    """
    is_commit = _COMMIT_ID.fullmatch(revision) is not None
    if is_commit and git("fetch", "--quiet", "--depth=1", "origin", revision, check=False).status == 0:
        return revision
    git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
    name = revision if is_commit else f"origin/{revision.removeprefix('origin/')}"
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").text.strip()


def commit_time(checkout: Path, workspace: Workspace | None = None) -> int:
    """Return the time of a checkout's commit, in seconds since the epoch.

    :param workspace: of the worker that created the checkout; None for a checkout of the current user
    """
    command: list[str | Path] = ["git", *_SAFE_OPTIONS, "-C", checkout, "log", "-1", "--format=%ct"]
    return int(run(confined(command, workspace) if workspace else command, timeout=GIT_TIMEOUT).text)
