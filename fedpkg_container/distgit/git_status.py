"""What ``git status`` says of a checkout, in one call (its format 2 for scripts, see git-status(1))."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
