"""The checkout that a packager stands in, as far as a build needs to know it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git
from pyrpkg.errors import rpkgError

from fedpkg_container.errors import CheckoutError

#: Namespaces of dist-git that hold containers.
NAMESPACES = ("container", "containers", "docker")


@dataclass(frozen=True)
class Checkout:
    """A dist-git checkout.

    :param branch: the branch of dist-git that is followed: rawhide, f41
    :param commit: the commit that would be built
    :param source: URL that a builder reads the commit from
    :param changed: tracked files with changes that are not committed
    :param tracks: the remote branch, origin/rawhide; empty when the local one follows none
    :param ahead: commits that are not pushed
    :param behind: commits that dist-git has and this checkout does not
    """

    path: Path
    namespace: str
    name: str
    branch: str
    commit: str
    source: str
    changed: tuple[str, ...]
    tracks: str
    ahead: int
    behind: int

    @classmethod
    def read(cls, commands: Any) -> Checkout:
        """Read a checkout through rpkg, which knows the site's rules for addresses and branches.

        :param commands: the site's ``pyrpkg.Commands``
        :raises CheckoutError: it is no git repository, is on no branch, or has no commit or remote
        """
        path = Path(commands.path).absolute()
        try:
            repository = commands.repo
        except rpkgError as error:
            raise CheckoutError(
                f"{path} is not a git repository",
                solution="run this in a checkout of dist-git: fedpkg clone container/NAME",
            ) from error
        try:
            branch = repository.active_branch
        except TypeError as error:
            raise CheckoutError(f"{path} is on no branch", solution="switch to one: git switch rawhide") from error
        if not repository.head.is_valid():
            raise CheckoutError(f"{path} has no commit yet", solution="commit the Dockerfile and push it")
        try:
            namespace, source = commands.ns or "", with_git_scheme(commands.construct_build_url())
        except rpkgError as error:
            raise CheckoutError(
                f"{path}: {error}", solution="add the remote of dist-git: git remote add origin URL"
            ) from error
        following = branch.tracking_branch()
        ahead, behind = _distance(repository, following)
        return cls(
            path=path,
            namespace=namespace,
            name=commands.repo_name,
            branch=commands.branch_merge,
            commit=commands.commithash,
            source=source,
            changed=_changed(repository),
            tracks=str(following) if following and following.is_valid() else "",
            ahead=ahead,
            behind=behind,
        )


def with_git_scheme(url: str) -> str:
    """A build URL in the form that Koji's builders read: ``git+https://…``; git:// stays as it is."""
    return f"git+{url}" if re.match(r"(https?|ssh|rsync)://", url) else url


def _changed(repository: git.Repo) -> tuple[str, ...]:
    lines = repository.git.status("--porcelain", "--untracked-files=no").splitlines()
    return tuple(line[3:] for line in lines)


def _distance(repository: git.Repo, following: Any) -> tuple[int, int]:
    if not following or not following.is_valid():
        return 0, 0
    counted = repository.git.rev_list("--left-right", "--count", f"HEAD...{following}")
    ahead, behind = counted.split()
    return int(ahead), int(behind)
