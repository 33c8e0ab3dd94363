"""What may be a source, and what is recorded of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from koji.daemon import SCM

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.source import fetch
from fedpkg_container.model.source import has_password, source_problem
from tests.support.waiting import PATIENCE


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE, text=True
    ).stdout.strip()


def test_the_user_of_a_source_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    _git(origin, "init", "--quiet")
    _git(origin, "commit", "--quiet", "--allow-empty", "--message=begin")
    commit = _git(origin, "rev-parse", "HEAD")
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\nexec sh -c "$2"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    url = f"git+ssh://git@src.example.org{origin}#{commit}"
    source = fetch(SCM(url), tmp_path / "source", lambda _: None)
    assert source.url == url
    assert set((tmp_path / "asked").read_text().split()) == {"git@src.example.org"}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("git+https://src.example.org/x?allowed/dir#1", r"a folder within a repository is not built: \?allowed/dir"),
        ("git+https://src.example.org/x%2e%2e/y#1", "a path with % is not built"),
        ("svn+https://src.example.org/x#1", "sources of kind svn"),
    ],
)
def test_what_is_no_source(tmp_path: Path, url: str, reason: str) -> None:
    with pytest.raises(BuildFailedError, match=reason) as caught:
        fetch(SCM(url), tmp_path / "source", lambda _: None)
    assert caught.value.solution
    assert not (tmp_path / "source").exists()


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
