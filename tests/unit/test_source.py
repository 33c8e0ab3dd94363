"""Source URLs, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from koji.daemon import SCM

from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.resolve.source import fetch_checkout
from fedpkg_container.model.options import address, has_password, source_problem


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspaces(tmp_path / "state").open("source") as made:
        yield made


def test_user_in_a_source_url_is_kept() -> None:
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
def test_invalid_source_urls_are_rejected(workspace: Workspace, url: str, reason: str) -> None:
    with pytest.raises(BuildFailedError, match=reason) as caught:
        fetch_checkout(SCM(url), workspace, lambda _: None)
    assert caught.value.solution
    assert not (workspace.work / "source").exists()


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


def test_valid_source_url() -> None:
    assert source_problem(SCM("git+https://src.example.org:8443/container/x?#1%2e")) == ("", "")
