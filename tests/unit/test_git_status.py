# SPDX-License-Identifier: GPL-2.0-or-later
"""The git status of a real checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import git
import pytest

from fedpkg_container.distgit.checkout import GitStatus
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs


def _git(directory: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=rawhide")
    subprocess.run(["git", *settings, *arguments], cwd=directory, check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one pushed commit."""
    _git(tmp_path, "init", "--quiet", "--bare", "origin")
    _git(tmp_path, "clone", "--quiet", "origin", "clone")
    directory = tmp_path / "clone"
    (directory / "kept").write_text("1")
    (directory / "moved").write_text("a text that is long enough to be found again\n" * 5)
    _commit(directory)
    _git(directory, "push", "--quiet", "--set-upstream", "origin", "HEAD:rawhide")
    return directory


def _commit(directory: Path) -> None:
    _git(directory, "add", "--all")
    _git(directory, "commit", "--quiet", "--message", "x")


def _read(directory: Path) -> GitStatus:
    return GitStatus.read(git.Repo(directory))


def test_clean_checkout(clone: Path) -> None:
    head = git.Repo(clone).head.commit.hexsha
    assert _read(clone) == GitStatus(commit=head, upstream="origin/rawhide")


def test_changes_of_all_kinds(clone: Path) -> None:
    (clone / "kept").write_text("2")
    _git(clone, "mv", "moved", "a new name")
    (clone / "not there\nbefore").write_text("x")
    (clone / "directory").mkdir()
    (clone / "directory" / "in it").write_text("x")
    status = _read(clone)
    assert sorted(status.changed) == ["a new name", "kept"]
    assert sorted(status.untracked) == ["directory/in it", "not there\nbefore"]


def test_ahead_and_behind(clone: Path, tmp_path: Path) -> None:
    _git(tmp_path, "clone", "--quiet", "--branch", "rawhide", "origin", "other")
    for directory, number in ((clone, 2), (tmp_path / "other", 1)):
        for name in range(number):
            (directory / f"{directory.name}-{name}").write_text("x")
            _commit(directory)
    _git(tmp_path / "other", "push", "--quiet")
    _git(clone, "fetch", "--quiet")
    status = _read(clone)
    assert (status.upstream, status.ahead, status.behind) == ("origin/rawhide", 2, 1)


def test_detached_head_and_no_commit(clone: Path, tmp_path: Path) -> None:
    _git(clone, "switch", "--quiet", "--detach")
    assert (_read(clone).detached, _read(clone).upstream) == (True, "")
    _git(tmp_path, "init", "--quiet", "empty")
    assert _read(tmp_path / "empty").commit == ""


def test_deleted_upstream_branch(clone: Path) -> None:
    _git(clone, "update-ref", "-d", "refs/remotes/origin/rawhide")
    assert _read(clone).upstream == ""
