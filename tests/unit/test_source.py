# SPDX-License-Identifier: GPL-2.0-or-later
"""Valid source URLs, and what is recorded of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from koji.daemon import SCM

from fedpkg_container.engines.sandbox import connected
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError, FedpkgContainerError
from fedpkg_container.image.config import Lookaside
from fedpkg_container.image.resolve import lookaside, source
from fedpkg_container.image.resolve.source import fetch_checkout, forget_history
from fedpkg_container.model.options import has_password, source_problem, source_repository_url
from fedpkg_container.process import Completed, run
from tests.support.sources import scm
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspaces(tmp_path / "state").open("source") as made:
        yield made


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "main 1700000000",
        "--help 1",
        f"{'1' * 39} 1",
        f"{'1' * 40}\nbuild=x 1",
        f"{'A' * 40} 1",
        f"{'1' * 40} -1",
        "1" * 40,
    ],
)
def test_what_a_worker_prints_instead_of_a_commit(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    """It is not recorded as one, nor given to the tasks of the architectures or to the log."""
    monkeypatch.setattr(source, "run", lambda *_, **__: Completed(0, printed.encode(), b""))
    with pytest.raises(BuildFailedError, match=r"which is not a commit|git printed no reason") as raised:
        fetch_checkout(scm("git+https://", "src.example.org", "/x", "main"), workspace, lambda _: None)
    assert "\n" not in raised.value.reason


def test_a_proxys_password_is_not_logged(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker gets it; it is neither in its command line nor in the log."""
    caplog.set_level(logging.DEBUG, logger="fedpkg_container")
    monkeypatch.setenv("https_proxy", "http://user:Pl4nt3d@proxy:3128")
    command = connected(["sh", "-c", 'test "$https_proxy"'], workspace, variables=source.PROXY_VARIABLES)
    run(command, timeout=PATIENCE)
    assert "bwrap" in caplog.text
    assert "exit status 0" in caplog.text
    assert "Pl4nt3d" not in caplog.text + " ".join(map(str, command))


def test_user_name_in_source_url_is_kept() -> None:
    assert source_repository_url(SCM("git+https://me@src.example.org/x#1")) == "git+https://me@src.example.org/x"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "git+https://src.example.org/x?allowed/dir#1",
            r"subdirectories of a repository cannot be built: \?allowed/dir",
        ),
        ("git+https://src.example.org/x%2e%2e/y#1", "source paths with % are not allowed"),
        ("git+ssh://git@src.example.org/x#1", "ssh sources are not supported"),
        ("svn+https://src.example.org/x#1", "sources of type svn"),
    ],
)
def test_invalid_sources(workspace: Workspace, url: str, reason: str) -> None:
    with pytest.raises(BuildFailedError, match=reason) as caught:
        fetch_checkout(SCM(url), workspace, lambda _: None)
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
    checkout = fetch_checkout(url, workspace, lambda _: None)
    assert (checkout.source_url, checkout.time) == (f"git+file://{repository}#{wanted}", 1700000000)
    assert (checkout.path / "Dockerfile").is_file()


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("git+https://me:secret@src.example.org/x#1", True),
        ("git+https://:secret@src.example.org/x#1", True),
        ("git+ssh://git@src.example.org:22/x@y:z@w#1:2@3", False),
        ("git+https://src.example.org/x?a:b@c#1", False),
    ],
)
def test_passwords_in_source_urls_are_detected(url: str, has: bool) -> None:
    assert has_password(url) is has


def test_valid_source() -> None:
    assert source_problem(SCM("git+https://src.example.org:8443/container/x?#1%2e")) == ("", "")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the builder's, with files of the names that the task reads and deletes."""
    directory = tmp_path / "outside"
    (directory / ".git").mkdir(parents=True)
    (directory / ".git" / "config").write_text("of the builder")
    (directory / "Dockerfile").write_text("FROM scratch\n")
    return directory


def test_a_checkout_that_git_replaces_with_a_link_is_not_read(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: Sequence[str | Path], **_: object) -> Completed:
        (workspace.work / "source").rmdir()
        (workspace.work / "source").symlink_to(outside)
        return Completed(0, b"1" * 40 + b"\n1700000000\n", b"")

    monkeypatch.setattr(source, "run", run)
    with pytest.raises(FedpkgContainerError, match="source is no longer a directory"):
        fetch_checkout(scm("git+https://", "src.example.org", "/x", "main"), workspace, lambda _: None)


def test_a_checkout_that_a_download_replaces_with_a_link_is_not_read(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = workspace.new("source")
    (directory / "sources").write_text(f"SHA512 (data) = {'1' * 128}\n")

    def replace(*_: object) -> None:
        directory.rename(directory.with_name("moved"))
        directory.symlink_to(outside)

    monkeypatch.setattr(lookaside, "_fetch_file", replace)
    url = "git+https://src.example.org/container/x"
    with pytest.raises(FedpkgContainerError, match="source is no longer a directory"):
        lookaside.fetch_sources(directory, workspace, url, Lookaside("https://src.example.org/cache"), lambda _: None)


def test_what_is_deleted_of_a_checkout_is_not_the_builders(workspace: Workspace, outside: Path) -> None:
    """Where a worker has replaced the checkout with a link, and nothing has noticed it yet."""
    (workspace.work / "source").symlink_to(outside)
    with pytest.raises(FedpkgContainerError, match="source is no longer a directory"):
        forget_history(workspace.work / "source", workspace)
    assert (outside / ".git" / "config").read_text() == "of the builder"


def test_the_history_of_a_checkout_is_deleted(workspace: Workspace) -> None:
    directory = workspace.new("source")
    (directory / ".git" / "objects").mkdir(parents=True)
    (directory / "file").write_text("x")
    workspace.give(directory)
    forget_history(directory, workspace)
    assert [path.name for path in directory.iterdir()] == ["file"]
