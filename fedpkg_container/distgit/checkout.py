"""The checkout that a packager stands in, as far as a build needs to know it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git
from pyrpkg.errors import rpkgError

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
        repository = _repository(commands, path)
        if not repository.remotes:
            raise CheckoutError(f"{path} has no remote", solution="add that of dist-git: git remote add origin URL")
        try:
            namespace, source = commands.ns or "", with_git_scheme(commands.construct_build_url())
        except rpkgError as error:
            raise CheckoutError(
                f"{path}: {error}", solution="add the remote of dist-git: git remote add origin URL"
            ) from error
        detached = repository.head.is_detached
        branch = commands.branch_merge if commands.dist or not detached else ""
        following = None if detached else repository.active_branch.tracking_branch()
        followed = str(following) if following and following.is_valid() else ""
        ahead, behind = _distance(repository, followed)
        changed, untracked = _status(repository)
        return cls(
            path=path,
            namespace=namespace,
            name=commands.repo_name,
            branch=branch,
            branch_known=re.search(commands.branchre, branch) is not None if commands.branchre else True,
            detached=detached,
            commit=commands.commithash,
            source=source,
            tracked=frozenset(_names(repository.git.ls_files("-z"))),
            untracked=untracked,
            changed=changed,
            tracks=followed,
            ahead=ahead,
            behind=behind,
        )


def _repository(commands: Any, path: Path) -> git.Repo:
    """The repository of a checkout.

    :raises CheckoutError: there is none, or git does not read it
    """
    try:
        repository: git.Repo = commands.repo
    except rpkgError as error:
        top = next((str(each) for each in path.parents if (each / ".git").exists()), "")
        raise CheckoutError(
            f"{path} is not a git repository" if not top else f"{path} is a folder in the checkout {top}",
            solution=f"go there: cd {top}"
            if top
            else "run this in a checkout of dist-git: fedpkg clone container/NAME",
        ) from error
    try:
        repository.git.rev_parse("--verify", "--quiet", "HEAD")
    except git.GitCommandError as error:
        said = printable_line(str(error.stderr)).strip(" '").removeprefix("stderr: ").strip(" '")
        if said:
            raise CheckoutError(f"git does not read {path}: {said}", solution="do what git says") from error
        raise CheckoutError(f"{path} has no commit yet", solution="commit the Dockerfile and push it") from error
    return repository


def with_git_scheme(url: str) -> str:
    """A build URL in the form that Koji's builders read: ``git+https://…``; git:// stays as it is."""
    return f"git+{url}" if re.match(r"(https?|ssh|rsync)://", url) else url


def _names(output: str) -> list[str]:
    return [name for name in output.split("\0") if name]


def _status(repository: git.Repo) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files with changes that are not committed, and files that git does not have."""
    changed: list[str] = []
    untracked: list[str] = []
    entries = iter(_names(repository.git.status("--porcelain", "-z", "--untracked-files=all")))
    for entry in entries:
        (untracked if entry.startswith("??") else changed).append(entry[3:])
        if entry[0] in "RC":  # the name that it had before comes next
            next(entries, None)
    return tuple(changed), tuple(untracked)


def _distance(repository: git.Repo, followed: str) -> tuple[int, int]:
    if not followed:
        return 0, 0
    counted = repository.git.rev_list("--left-right", "--count", f"HEAD...{followed}")
    ahead, behind = counted.split()
    return int(ahead), int(behind)
