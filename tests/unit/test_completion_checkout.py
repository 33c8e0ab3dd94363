# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkouts as completion reads them agree with git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fedpkg_container.completion.checkout import Checkout
from tests.support.checkouts import make_checkout
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs


def _git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=directory, check=True, timeout=PATIENCE, capture_output=True)


def test_container_checkout(tmp_path: Path) -> None:
    checkout = Checkout(str(make_checkout(tmp_path / "hello")))
    assert (checkout.namespace, checkout.name, checkout.component) == ("container", "hello", "hello-container")
    assert (checkout.branch, checkout.upstream, checkout.target) == (
        "rawhide", "rawhide", "rawhide-container-candidate",
    )  # fmt: skip
    assert checkout.branches() == ["f43", "rawhide"]


def test_local_branch_with_another_upstream(tmp_path: Path) -> None:
    directory = make_checkout(tmp_path / "hello")
    _git(directory, "checkout", "--quiet", "-b", "mine", "--track", "origin/f43")
    checkout = Checkout(str(directory))
    assert (checkout.branch, checkout.upstream, checkout.target) == ("mine", "f43", "f43-container-candidate")


def test_packed_branches_and_a_subdirectory(tmp_path: Path) -> None:
    directory = make_checkout(tmp_path / "hello")
    _git(directory, "update-ref", "refs/remotes/origin/private/try", "HEAD")
    _git(directory, "pack-refs", "--all")
    _git(directory, "update-ref", "refs/remotes/origin/f44", "HEAD")
    below = directory / "files" / "deep"
    below.mkdir(parents=True)
    assert Checkout(str(below)).branches() == ["f43", "f44", "private/try", "rawhide"]


def test_linked_worktree(tmp_path: Path) -> None:
    directory = make_checkout(tmp_path / "hello")
    _git(directory, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"), "origin/f43")
    checkout = Checkout(str(tmp_path / "side"))
    assert (checkout.name, checkout.upstream) == ("hello", "f43")
    assert checkout.branches() == ["f43", "rawhide"]


@pytest.mark.parametrize(
    ("url", "namespace", "name"),
    [
        ("ssh://me@pkgs.example.org/rpms/bash", "rpms", "bash"),
        ("ssh://me@pkgs.example.org/container/hello.git", "container", "hello"),
        ("me@pkgs.example.org:container/hello", "container", "hello"),
        ("https://pkgs.example.org/bash", "", "bash"),
    ],
)
def test_addresses(tmp_path: Path, url: str, namespace: str, name: str) -> None:
    directory = make_checkout(tmp_path / "x")
    _git(directory, "remote", "set-url", "--push", "origin", url)
    checkout = Checkout(str(directory))
    assert (checkout.namespace, checkout.name) == (namespace, name)


def test_directory_without_a_checkout(tmp_path: Path) -> None:
    checkout = Checkout(str(tmp_path))
    assert (checkout.name, checkout.component, checkout.target, checkout.branches()) == ("", "", "", [])


def test_damaged_checkout(tmp_path: Path) -> None:
    directory = make_checkout(tmp_path / "hello")
    (directory / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    (directory / ".git" / "config").write_bytes(b"[remote\n=\n= =\n\xff")
    checkout = Checkout(str(directory))
    assert (checkout.branch, checkout.name, checkout.target) == ("", "", "")
