"""Getting the source at an exact commit, with git and nothing else: no submodules, no hooks, no helpers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.engines.opening import check_directory
from fedpkg_container.engines.sandbox import confined, connected
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import BuildFailedError, ProgramError
from fedpkg_container.model.options import address, source_problem
from fedpkg_container.process import run

#: Seconds for a checkout, and for one git command.
TIMEOUT = 600.0
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
#: Nothing of the builder's own settings: no helpers, no filters.
_ALONE = ("GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
#: All of git's settings; a repository of this machine belongs to another user than the worker, and what is fetched once
#: needs no maintenance.
_SETTINGS = "[safe]\n\tdirectory = *\n[maintenance]\n\tauto = false\n"
#: Makes a checkout, and prints its commit and when that was made. A commit is fetched alone where the server allows it.
#: All of it runs in one worker: starting one takes longer than most of these commands.
_CHECKOUT = """
folder=$1 remote=$2 name=$3 exact=$4
git() { command git -C "$folder" -c protocol.ext.allow=never -c core.hooksPath=/dev/null "$@"; }
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
#: Variables of the builder that say how it reaches the outside.
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True)
class Source:
    """A source that was fetched.

    :param folder: the checkout
    :param url: where it came from, with the exact commit
    :param time: when the commit was made, in seconds since the epoch
    """

    folder: Path
    url: str
    time: int


def fetch(
    scm: Any, workspace: Workspace, say: Callable[[str], None], tick: Callable[[], None] = lambda: None
) -> Source:
    """Fetch what a build URL names, in a worker.

    :param scm: the URL, parsed by ``koji.daemon.SCM``
    :param workspace: in which the checkout is made
    :param tick: called before, and every second while git works
    :raises BuildFailedError: it is not built from such sources, the repository cannot be read, or has no such commit
    """
    reason, solution = source_problem(scm)
    if reason:
        raise BuildFailedError(reason, solution=solution)
    repository = address(scm)
    remote = repository.removeprefix("git+")
    say(f"fetching {remote} at {scm.revision}")
    folder = workspace.new("source")
    settings = workspace.folder / "gitconfig"
    settings.write_text(_SETTINGS)
    readable = [settings, *([Path(scm.repository)] if scm.scheme == "git+file://" else [])]
    tick()
    exact = scm.revision if _COMMIT.fullmatch(scm.revision) else ""
    name = exact or f"origin/{scm.revision.removeprefix('origin/')}"
    command: list[str | Path] = ["env", *_ALONE, f"GIT_CONFIG_GLOBAL={settings}", "sh", "-euc", _CHECKOUT, "sh"]
    command += [folder, remote, name, exact]
    try:
        confined_command = connected(command, workspace, readable=readable, variables=PROXIES)
        commit, time = run(confined_command, timeout=TIMEOUT, tick=tick).text.split()
    except (ProgramError, ValueError) as error:
        printed = error.output.strip().splitlines() if isinstance(error, ProgramError) else []
        raise BuildFailedError(
            f"{remote} at {scm.revision} cannot be fetched: {printed[-1] if printed else 'git printed no reason'}",
            solution="check that the commit is pushed and the repository can be read",
        ) from error
    if not _COMMIT.fullmatch(commit) or not _SECONDS.fullmatch(time):
        # A worker printed it; it is recorded, and fetched by other tasks.
        raise BuildFailedError(f"{remote} at {scm.revision} is {commit[:80]!r} of {time[:20]!r}, which is not a commit")
    check_directory(folder)
    return Source(folder, f"{repository}#{commit}", int(time))


def commit_time(folder: Path) -> int:
    """Return when the commit of a checkout of this user's own was made, in seconds since the epoch."""
    return int(run(["git", "-C", folder, "log", "-1", "--format=%ct"], timeout=TIMEOUT).text)


def forget_history(folder: Path, workspace: Workspace) -> None:
    """Delete git's own directory of a checkout, so that COPY does not read it: in a worker, which owns it."""
    run(confined(["rm", "-rf", "--", folder / ".git"], workspace), timeout=TIMEOUT)
    check_directory(folder)
