# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkouts as made by fedpkg, without a dist-git server."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.waiting import PATIENCE


def make_checkout(directory: Path, repository: str = "container/hello", branch: str = "rawhide") -> Path:
    """Make a repository on a branch that tracks dist-git's, with a second fetched branch."""
    directory.mkdir(parents=True)
    for command in (
        ["init", "--quiet", "--initial-branch", branch],
        ["remote", "add", "origin", f"https://pkgs.example.org/{repository}"],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "--allow-empty", "--message", "begin"],
        ["update-ref", f"refs/remotes/origin/{branch}", "HEAD"],
        ["update-ref", "refs/remotes/origin/f43", "HEAD"],
        ["symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{branch}"],
        ["branch", "--quiet", "--set-upstream-to", f"origin/{branch}"],
    ):
        subprocess.run(["git", *command], cwd=directory, check=True, timeout=PATIENCE)
    return directory
