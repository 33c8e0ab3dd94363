# SPDX-License-Identifier: GPL-2.0-or-later
"""The dist-git checkout to build from: its git status and its source URL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import git
from pyrpkg.errors import rpkgError

from fedpkg_container.distgit.rpkg_commands import RpkgCommands
from fedpkg_container.errors import CheckoutError, ProgramError, ProgramTimeoutError
from fedpkg_container.process import run
from fedpkg_container.text import printable_line

#: Seconds for a clone of another repository.
CLONE_TIMEOUT = 300.0
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def ahead_behind(repository: git.Repo, commit: str) -> tuple[int, int] | None:
    """Return how many commits HEAD is ahead of and behind a commit; None if the commit is not in the checkout.

    :param repository: the checkout's ``git.Repo``
    """
    if not _COMMIT.fullmatch(commit):
        return None
    try:
        counts = repository.git.rev_list("--left-right", "--count", f"HEAD...{commit}")
    except git.GitCommandError:
        return None
    ahead, behind = counts.split()
    return int(ahead), int(behind)


#: Number of fields before the file name, by the type of the entry: changed, renamed, unmerged.
_FIELDS = {"1": 8, "2": 9, "u": 10}


@dataclass
class GitStatus:
    """Output of ``git status``.

    :param commit: commit ID of HEAD; empty if there is none
    :param upstream: upstream branch; empty if the local branch tracks none, or it does not exist
    :param ahead: number of commits missing in the upstream branch
    :param behind: number of commits of the upstream branch missing in HEAD
    :param changed: tracked files with uncommitted changes
    :param untracked: files neither tracked nor ignored
    """

    commit: str = ""
    detached: bool = False
    upstream: str = ""
    ahead: int = 0
    behind: int = 0
    changed: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, repository: git.Repo) -> GitStatus:
        """Run ``git status``.

        :param repository: the checkout's ``git.Repo``
        :raises git.GitCommandError: if git refuses to read the checkout
        """
        return cls.parse(repository.git.status("--porcelain=v2", "--branch", "-z", "--untracked-files=all"))

    @classmethod
    def parse(cls, output: str) -> GitStatus:
        """Parse the output of ``git status --porcelain=v2 --branch -z``."""
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
                if kind == "2":  # a rename: the next entry is the old name
                    next(entries, None)
        return status

    def _note(self, name: str, value: str, upstream: str) -> None:
        if name == "branch.oid":
            self.commit = "" if value == "(initial)" else value
        elif name == "branch.head":
            self.detached = value == "(detached)"
        elif name == "branch.ab":  # only printed if the upstream branch exists
            ahead, behind = value.split()
            self.upstream, self.ahead, self.behind = upstream, int(ahead), -int(behind)


#: dist-git namespaces of containers.
NAMESPACES = ("container", "containers", "docker")


@dataclass(frozen=True)
class Checkout:
    """A dist-git checkout.

    :param branch: dist-git branch that is tracked, e.g. rawhide or f41; empty if HEAD is detached
    :param branch_known: whether the branch name matches the site's naming rule
    :param commit: commit to build
    :param source: source URL with the commit, for builders
    :param tracked: files and submodules tracked by git
    :param submodules: paths of git submodules
    :param untracked: files neither tracked nor ignored
    :param changed: tracked files with uncommitted changes
    :param upstream: upstream branch, e.g. origin/rawhide; empty if the local branch tracks none
    :param ahead: number of commits not pushed
    :param behind: number of commits of the upstream branch missing in this checkout
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
    upstream: str
    ahead: int
    behind: int
    submodules: frozenset[str] = frozenset()

    def clone_other(self, commands: RpkgCommands, name: str, directory: Path) -> Checkout:
        """Clone the newest commit of another repository, from the branch of this checkout.

        :param name: name of the repository, with or without a namespace
        :param directory: new directory
        :raises CheckoutError: if it cannot be cloned
        """
        namespace, _, name = name.rpartition("/")
        namespace = namespace or self.namespace
        full_name = f"{namespace}/{name}" if namespace else name
        url = commands.construct_build_url(full_name, "HEAD").rpartition("#")[0]
        options = ["--quiet", "--depth=1", f"--branch={self.branch}"]
        try:
            run(["git", "clone", *options, "--", url, str(directory)], timeout=CLONE_TIMEOUT)
        except (ProgramError, ProgramTimeoutError) as error:
            raise CheckoutError(
                f"cannot clone branch {self.branch} of {full_name}: {printable_line(error.reason)}",
                solution="check the name of the package, and whether it has this branch",
            ) from error
        repository = git.Repo(directory)
        tracked, commit = _tracked(repository), repository.head.commit.hexsha
        return replace(
            self,
            path=directory,
            namespace=namespace,
            name=name,
            detached=False,
            commit=commit,
            source=with_git_scheme(commands.construct_build_url(full_name, commit)),
            tracked=frozenset(tracked),
            submodules=frozenset(path for path, mode in tracked.items() if mode == _SUBMODULE),
            untracked=(),
            changed=(),
            upstream=f"origin/{self.branch}",
            ahead=0,
            behind=0,
        )

    @classmethod
    def read(cls, commands: RpkgCommands) -> Checkout:
        """Read a checkout through rpkg, which implements the site's rules for URLs and branches.

        :param commands: the site's ``pyrpkg.Commands``
        :raises CheckoutError: if it is not a git repository, cannot be read, or has no commit or remote
        """
        path = Path(commands.path).absolute()
        try:
            checkout = cls._read(commands, path)
            f"{checkout.branch}{checkout.upstream}{checkout.source}".encode()
        except UnicodeError as error:  # GitPython decodes some of git's output strictly, and other with surrogates
            raise CheckoutError(
                f"{path}: the name of a branch or remote, or .git/config, is not valid UTF-8",
                solution="rename it: git branch --move NAME, git remote rename OLD NEW",
            ) from error
        return checkout

    @classmethod
    def _read(cls, commands: RpkgCommands, path: Path) -> Checkout:
        repository, status = _repository(commands, path)
        if not repository.remotes:
            raise CheckoutError(f"{path} has no remote", solution="add the dist-git remote: git remote add origin URL")
        try:
            namespace, source = (
                commands.ns or "",
                with_git_scheme(commands.construct_build_url(commit_hash=status.commit)),
            )
        except rpkgError as error:
            raise CheckoutError(
                f"{path}: {error}", solution="add the dist-git remote: git remote add origin URL"
            ) from error
        tracked = _tracked(repository)
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
            tracked=frozenset(tracked),
            submodules=frozenset(name for name, mode in tracked.items() if mode == _SUBMODULE),
            untracked=tuple(status.untracked),
            changed=tuple(status.changed),
            upstream=status.upstream,
            ahead=status.ahead,
            behind=status.behind,
        )


#: File mode of a submodule in git's index.
_SUBMODULE = "160000"


def _tracked(repository: git.Repo) -> dict[str, str]:
    """Return the tracked files and submodules with their modes in git's index."""
    entries = filter(None, repository.git.ls_files("--stage", "-z").split("\0"))
    return {name: attributes.split(" ")[0] for attributes, _, name in (entry.partition("\t") for entry in entries)}


def _repository(commands: RpkgCommands, path: Path) -> tuple[git.Repo, GitStatus]:
    """Open the repository of a checkout, and read its status.

    :raises CheckoutError: if it is not a git repository, git refuses to read it, or it has no commit
    """
    try:
        repository: git.Repo = commands.repo
    except rpkgError as error:
        top = next((str(parent) for parent in path.parents if (parent / ".git").exists()), "")
        if top:
            raise CheckoutError(
                f"{path} is a subdirectory of the checkout {top}", solution=f"change to its top directory: cd {top}"
            ) from error
        solution = "run this in a dist-git checkout: fedpkg clone container/NAME"
        raise CheckoutError(f"{path} is not a git repository", solution=solution) from error
    try:
        status = GitStatus.read(repository)
    except git.GitCommandError as error:
        message = printable_line(str(error.stderr)).strip(" '").removeprefix("stderr: ").strip(" '")
        raise CheckoutError(f"git refuses to read {path}: {message}", solution="follow git's advice above") from error
    if not status.commit:
        raise CheckoutError(f"{path} has no commits yet", solution="commit the Dockerfile or Containerfile and push it")
    return repository, status


def with_git_scheme(url: str) -> str:
    """Return a source URL in the form that Koji's builders accept (``git+https://…``); git:// URLs are unchanged."""
    return f"git+{url}" if re.match(r"(https?|ssh|rsync)://", url) else url
