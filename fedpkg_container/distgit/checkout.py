"""The checkout that a packager builds from: its state, its history and its source URL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import git
from pyrpkg.errors import rpkgError

from fedpkg_container.errors import CheckoutError
from fedpkg_container.text import printable_line

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def distance(repository: Any, commit: str) -> tuple[int, int] | None:
    """By how many commits HEAD is ahead of a commit and behind it; None when the checkout does not have it.

    :param repository: ``git.Repo``
    """
    if not _COMMIT.fullmatch(commit):
        return None
    try:
        counted = repository.git.rev_list("--left-right", "--count", f"HEAD...{commit}")
    except git.GitCommandError:
        return None
    ahead, behind = counted.split()
    return int(ahead), int(behind)


#: Fields before the name of a file, by the kind of the entry: changed, renamed, unmerged.
_FIELDS = {"1": 8, "2": 9, "u": 10}


@dataclass
class GitStatus:
    """The state of a checkout.

    :param commit: of HEAD; empty when there is none
    :param tracks: the remote branch; empty when the local one follows none, or it is not there
    :param ahead: commits that the remote branch has not
    :param behind: commits that it has and HEAD has not
    :param changed: files of git with changes that are not committed
    :param untracked: files that git does not have, and does not ignore
    """

    commit: str = ""
    detached: bool = False
    tracks: str = ""
    ahead: int = 0
    behind: int = 0
    changed: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, repository: Any) -> GitStatus:
        """Ask git.

        :param repository: ``git.Repo``
        :raises git.GitCommandError: git does not read the checkout
        """
        return cls.parse(repository.git.status("--porcelain=v2", "--branch", "-z", "--untracked-files=all"))

    @classmethod
    def parse(cls, output: str) -> GitStatus:
        """Read what git says."""
        status = cls()
        upstream = ""
        entries = iter(output.split("\0"))
        for entry in entries:
            kind, _, rest = entry.partition(" ")
            if kind == "#":
                name, _, value = rest.partition(" ")
                upstream = value if name == "branch.upstream" else upstream
                status._note(name, value, upstream)
            elif kind == "?":
                status.untracked.append(rest)
            elif kind in _FIELDS:
                status.changed.append(rest.split(" ", _FIELDS[kind] - 1)[-1])
                if kind == "2":  # the name that it had before comes next
                    next(entries, None)
        return status

    def _note(self, name: str, value: str, upstream: str) -> None:
        if name == "branch.oid":
            self.commit = "" if value == "(initial)" else value
        elif name == "branch.head":
            self.detached = value == "(detached)"
        elif name == "branch.ab":  # only said when the remote branch is there
            ahead, behind = value.split()
            self.tracks, self.ahead, self.behind = upstream, int(ahead), -int(behind)


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
