# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the site's ``pyrpkg.Commands`` that this program uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import git


class RpkgCommands(Protocol):
    """The site's rules for checkouts and targets.

    Reading a property may run git; it raises ``pyrpkg.errors.rpkgError`` outside of a checkout.

    :param branchre: regular expression for branch names; empty for none
    :param path: the checkout
    :param target: build target; set from the command line
    """

    branchre: str
    path: str | Path
    target: str

    @property
    def branch_merge(self) -> str:
        """The dist-git branch that is tracked."""

    @property
    def container_build_target(self) -> str:
        """The default build target of the branch."""

    @property
    def dist(self) -> str | None:
        """The release of the distribution, if it was given on the command line."""

    @property
    def ns(self) -> str | None:
        """The dist-git namespace."""

    @property
    def repo(self) -> git.Repo:
        """The repository of the checkout."""

    @property
    def repo_name(self) -> str:
        """The name of the repository in dist-git."""

    @property
    def user(self) -> str:
        """The user's name on the hub."""

    def construct_build_url(self, repo_name: str | None = None, commit_hash: str | None = None) -> str:
        """Return the source URL of a commit, by default HEAD, of a repository, by default that of the checkout."""

    def container_build_setup(self, *, get_autorebuild: bool | None, set_autorebuild: bool | None) -> object:
        """Read or set ``autorebuild`` in the checkout."""
