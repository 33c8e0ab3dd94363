# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkout of a source at an exact commit, with git alone: no submodules, hooks or helpers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.engines.opening import check_directory
from fedpkg_container.engines.sandbox import confined, connected
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError, ProgramTimeoutError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.options import SourceURL, source_problem, source_repository_url
from fedpkg_container.process import run

#: Seconds for a checkout, and for one git command.
GIT_TIMEOUT = 600.0
_COMMIT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
#: Ignore the builder's own git configuration, with its helpers and filters.
_ENVIRONMENT = ("GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
#: The only git configuration; a local repository belongs to another user than the worker, and a repository that is used
#: once needs no maintenance.
_GITCONFIG = "[safe]\n\tdirectory = *\n[maintenance]\n\tauto = false\n"
#: Create a checkout; print its commit and the time of that. The commit is fetched alone if the server allows it.
#: All of it runs in one worker: starting one takes longer than most of these commands.
_CHECKOUT = """
directory=$1 remote=$2 name=$3 exact=$4
git() { command git -C "$directory" -c protocol.ext.allow=never -c core.hooksPath=/dev/null "$@"; }
git init --quiet --template=
git remote add origin "$remote"
if [ "$exact" ] && git fetch --quiet --depth=1 origin "$exact"; then
    commit=$exact
else
    git fetch --quiet origin '+refs/heads/*:refs/remotes/origin/*'
    commit=$(git rev-parse --verify --quiet --end-of-options "$name^{commit}")
fi
git checkout --quiet --detach "$commit"
echo "$commit"
git log -1 --format=%ct "$commit" --
"""
#: Environment variables that select a proxy.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True)
class Checkout:
    """A checkout.

    :param path: checkout directory
    :param source_url: its source URL, with the exact commit
    :param time: time of the commit, in seconds since the epoch
    """

    path: Path
    source_url: str
    time: int


def fetch_checkout(
    scm: SourceURL,
    workspace: Workspace,
    report: Callable[[str], None],
    tick: Callable[[], None] = lambda: None,
    *,
    deadline: Deadline | None = None,
) -> Checkout:
    """Check out the commit of a source URL, in a worker.

    :param scm: the URL, parsed by ``koji.daemon.SCM``
    :param workspace: where the checkout is created
    :param tick: called before git starts, and every second while it runs
    :param deadline: end of all downloads of the task; None for only the timeout of the checkout
    :raises BuildFailedError: if such sources are not allowed, the repository or commit cannot be read, or the deadline
        has passed
    """
    reason, solution = source_problem(scm)
    if reason:
        raise BuildFailedError(reason, solution=solution)
    repository = source_repository_url(scm)
    remote = repository.removeprefix("git+")
    own_deadline = Deadline(f"fetching {remote}", GIT_TIMEOUT, "check that builders can read the repository")
    deadline = deadline.within(own_deadline) if deadline else own_deadline
    deadline.check()
    report(f"fetching {remote} at {scm.revision}")
    path = workspace.new("source")
    gitconfig = workspace.directory / "gitconfig"
    gitconfig.write_text(_GITCONFIG)
    readable = [gitconfig, *([Path(scm.repository)] if scm.scheme == "git+file://" else [])]
    tick()
    exact = scm.revision if _COMMIT_ID.fullmatch(scm.revision) else ""
    name = exact or f"origin/{scm.revision.removeprefix('origin/')}"
    command: list[str | Path] = ["env", *_ENVIRONMENT, f"GIT_CONFIG_GLOBAL={gitconfig}", "sh", "-euc", _CHECKOUT, "sh"]
    command += [path, remote, name, exact]
    try:
        confined_command = connected(command, workspace, readable=readable, variables=PROXY_VARIABLES)
        commit, time = run(confined_command, timeout=deadline.remaining, tick=tick).text.split()
    except ProgramTimeoutError as error:
        raise deadline.failure() from error
    except (ProgramError, ValueError) as error:
        printed = error.output.strip().splitlines() if isinstance(error, ProgramError) else []
        raise BuildFailedError(
            f"cannot fetch {scm.revision} from {remote}: {printed[-1] if printed else 'git printed no reason'}",
            solution="check that the commit is pushed and that builders can read the repository",
        ) from error
    if not _COMMIT_ID.fullmatch(commit) or not _SECONDS.fullmatch(time):
        # A worker printed it; it is recorded, and fetched by other tasks.
        raise BuildFailedError(f"{remote} at {scm.revision} is {commit[:80]!r} of {time[:20]!r}, which is not a commit")
    check_directory(path)
    return Checkout(path, f"{repository}#{commit}", int(time))


def commit_time(checkout: Path) -> int:
    """Return the time of the commit of a checkout of the current user, in seconds since the epoch."""
    return int(run(["git", "-C", checkout, "log", "-1", "--format=%ct"], timeout=GIT_TIMEOUT).text)


def forget_history(checkout: Path, workspace: Workspace) -> None:
    """Delete git's own directory of a checkout, so that COPY does not read it, in the worker that owns it."""
    run(confined(["rm", "-rf", "--", checkout / ".git"], workspace), timeout=GIT_TIMEOUT)
    check_directory(checkout)
