# SPDX-License-Identifier: GPL-2.0-or-later
"""A container's dist-git checkout with a local remote, without a hub; and our client run in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.distgit.checkout import Checkout
from tests.support import preloaded
from tests.support.waiting import PATIENCE

DOCKERFILE = """\
FROM registry.example.com/build:1 AS build
LABEL version=9
FROM registry.example.com/fedora:41
LABEL com.redhat.component="foo-container" \\
      name="foo"
LABEL version="1.0" summary="s" maintainer=me usage=u
COPY --from=build /a /a
CMD ["/a"]
"""


def read_nothing(directory: Path) -> Checkout:
    """Return git's results for a valid directory, without running git."""
    return Checkout(
        path=directory,
        namespace="container",
        name="foo",
        branch="rawhide",
        branch_known=True,
        detached=False,
        commit="",
        source="",
        tracked=frozenset(),
        untracked=(),
        changed=(),
        upstream="origin/rawhide",
        ahead=0,
        behind=0,
    )


@dataclass(frozen=True)
class LocalCheckout:
    """The checkout, and its user's home directory."""

    directory: Path
    home: Path

    @classmethod
    def make(cls, directory: Path) -> LocalCheckout:
        """Clone ``container/foo`` on branch rawhide, with one pushed commit."""
        made = cls(directory / "foo", directory / "home")
        origin = directory / "container" / "foo.git"
        made.home.mkdir()
        made.directory.mkdir()
        (made.directory / "Dockerfile").write_text(DOCKERFILE)
        made.git("init", "--quiet", "--bare", str(origin))
        made.git("init", "--quiet", "--initial-branch=rawhide")
        made.git("remote", "add", "origin", f"file://{origin}")
        made.git("add", "--all")
        made.git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message=begin")
        made.git("push", "--quiet", "--set-upstream", "origin", "rawhide")
        return made

    @property
    def environment(self) -> dict[str, str]:
        """Without the caller's variables."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}

    def git(self, *arguments: str) -> str:
        """Run git; return its output."""
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=self.directory, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run our client."""
        command = [str(Path(sys.executable).with_name("fedpkg-container")), *arguments]
        return preloaded.run(command, cwd=cwd or self.directory, env=self.environment, timeout=PATIENCE)
