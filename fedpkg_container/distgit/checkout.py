"""The checkout that a packager stands in, as far as a build needs to know it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git
from pyrpkg.errors import rpkgError

from fedpkg_container.distgit.git_status import GitStatus
from fedpkg_container.errors import CheckoutError
from fedpkg_container.text import printable_line

#: Namespaces of dist-git that hold containers.
NAMESPACES = ("container", "containers", "docker")


@dataclass(frozen=True)
class Checkout:
    """A dist-git checkout.

    :param branch: the branch of dist-git that is followed: rawhide, f41; empty when the head is detached
    :param branch_known: the site's rule for names of branches knows it
    :param commit: the commit that would be built
    :param source: URL that a builder reads the commit from
    :param tracked: files that git has
    :param untracked: files that it has not, and does not ignore
    :param changed: tracked files with changes that are not committed
    :param tracks: the remote branch, origin/rawhide; empty when the local one follows none
    :param ahead: commits that are not pushed
    :param behind: commits that dist-git has and this checkout does not
    """

    path: Path
    namespace: str
    name: str
    branch: str
    branch_known: bool
    detached: bool
    commit: str
    source: str
    tracked: frozenset[str]
    untracked: tuple[str, ...]
    changed: tuple[str, ...]
    tracks: str
    ahead: int
    behind: int

    @classmethod
    def read(cls, commands: Any) -> Checkout:
        """Read a checkout through rpkg, which knows the site's rules for addresses and branches.

        :param commands: the site's ``pyrpkg.Commands``
        :raises CheckoutError: it is no git repository, cannot be read, or has no commit or remote
        """
        path = Path(commands.path).absolute()
        repository, status = _repository(commands, path)
        if not repository.remotes:
            raise CheckoutError(f"{path} has no remote", solution="add that of dist-git: git remote add origin URL")
        try:
            namespace, source = (
                commands.ns or "",
                with_git_scheme(commands.construct_build_url(commit_hash=status.commit)),
            )
        except rpkgError as error:
            raise CheckoutError(
                f"{path}: {error}", solution="add the remote of dist-git: git remote add origin URL"
            ) from error
        branch = commands.branch_merge if commands.dist or not status.detached else ""
        return cls(
            path=path,
            namespace=namespace,
            name=commands.repo_name,
            branch=branch,
            branch_known=re.search(commands.branchre, branch) is not None if commands.branchre else True,
            detached=status.detached,
            commit=status.commit,
            source=source,
            tracked=frozenset(filter(None, repository.git.ls_files("-z").split("\0"))),
            untracked=tuple(status.untracked),
            changed=tuple(status.changed),
            tracks=status.tracks,
            ahead=status.ahead,
            behind=status.behind,
        )


def _repository(commands: Any, path: Path) -> tuple[git.Repo, GitStatus]:
    """The repository of a checkout, and its state.

    :raises CheckoutError: there is none, git does not read it, or it has no commit
    """
    try:
        repository: git.Repo = commands.repo
    except rpkgError as error:
        top = next((str(each) for each in path.parents if (each / ".git").exists()), "")
        if top:
            raise CheckoutError(f"{path} is a folder in the checkout {top}", solution=f"go there: cd {top}") from error
        solution = "run this in a checkout of dist-git: fedpkg clone container/NAME"
        raise CheckoutError(f"{path} is not a git repository", solution=solution) from error
    try:
        status = GitStatus.read(repository)
    except git.GitCommandError as error:
        said = printable_line(str(error.stderr)).strip(" '").removeprefix("stderr: ").strip(" '")
        raise CheckoutError(f"git does not read {path}: {said}", solution="do what git says") from error
    if not status.commit:
        raise CheckoutError(f"{path} has no commit yet", solution="commit the Dockerfile and push it")
    return repository, status


def with_git_scheme(url: str) -> str:
    """A build URL in the form that Koji's builders read: ``git+https://…``; git:// stays as it is."""
    return f"git+{url}" if re.match(r"(https?|ssh|rsync)://", url) else url
