"""What may be a source, and what is recorded of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from koji.daemon import SCM

from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.source import fetch
from fedpkg_container.model.source import address, has_password, source_problem
from fedpkg_container.process import run
from tests.support.sources import scm
from tests.support.waiting import PATIENCE


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspaces(tmp_path / "state").open("source") as made:
        yield made


def test_the_user_of_a_source_is_kept() -> None:
    assert address(SCM("git+https://me@src.example.org/x#1")) == "git+https://me@src.example.org/x"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("git+https://src.example.org/x?allowed/dir#1", r"a folder within a repository is not built: \?allowed/dir"),
        ("git+https://src.example.org/x%2e%2e/y#1", "a path with % is not built"),
        ("git+ssh://git@src.example.org/x#1", "sources are not fetched by ssh"),
        ("svn+https://src.example.org/x#1", "sources of kind svn"),
    ],
)
def test_what_is_no_source(workspace: Workspace, url: str, reason: str) -> None:
    with pytest.raises(BuildFailedError, match=reason) as caught:
        fetch(SCM(url), workspace, lambda _: None)
    assert caught.value.solution
    assert not (workspace.work / "source").exists()


@pytest.mark.parametrize("revision", ["rawhide", "origin/rawhide", "a commit"])
def test_a_source_is_recorded_with_its_commit_and_time(tmp_path: Path, workspace: Workspace, revision: str) -> None:
    def git(*arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_COMMITTER_DATE": "1700000000 +0100"}
        people = ["-c", "user.name=x", "-c", "user.email=x@x"]
        return run(["git", *people, "-C", repository, *arguments], timeout=PATIENCE, env=environment).text.strip()

    repository = tmp_path / "x"
    repository.mkdir()
    git("init", "--quiet", "--initial-branch=rawhide")
    (repository / "Dockerfile").write_text("FROM scratch\n")
    git("add", "--all")
    git("commit", "--quiet", "--message=first")
    commit = git("rev-parse", "HEAD")
    git("commit", "--quiet", "--allow-empty", "--message=second")
    wanted = commit if revision == "a commit" else git("rev-parse", "HEAD")
    url = scm("git+file://", "", str(repository), commit if revision == "a commit" else revision)
    source = fetch(url, workspace, lambda _: None)
    assert (source.url, source.time) == (f"git+file://{repository}#{wanted}", 1700000000)
    assert (source.folder / "Dockerfile").is_file()


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("git+https://me:secret@src.example.org/x#1", True),
        ("git+https://:secret@src.example.org/x#1", True),
        ("git+ssh://git@src.example.org:22/x@y:z@w#1:2@3", False),
        ("git+https://src.example.org/x?a:b@c#1", False),
    ],
)
def test_passwords(url: str, has: bool) -> None:
    assert has_password(url) is has


def test_an_ordinary_source() -> None:
    assert source_problem(SCM("git+https://src.example.org:8443/container/x?#1%2e")) == ("", "")
