# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages of ``--chain``, and the clone of one of them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fedpkg_container.commands.several_builds import parse_chain
from fedpkg_container.distgit.checkout import Checkout
from fedpkg_container.distgit.rpkg_commands import RpkgCommands
from fedpkg_container.errors import CheckoutError, UsageError
from tests.support.checkouts import make_checkout
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        ("a", [["a"], [""]]),
        ("a b", [["a"], ["b"], [""]]),
        ("a b : c :", [["a", "b"], ["c"], [""]]),
        ("a : b", [["a"], ["b", ""]]),
        ("containers/a", [["containers/a"], [""]]),
    ],
)
def test_groups(words: str, groups: list[list[str]]) -> None:
    assert parse_chain(words.split(), "hello") == groups


@pytest.mark.parametrize("words", [":", ": :", "hello", "a container/hello", "a /"])
def test_invalid_chains(words: str) -> None:
    with pytest.raises(UsageError, match="argument --chain"):
        parse_chain(words.split(), "hello")


class _Commands:
    """rpkg's commands of a dist-git in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def construct_build_url(self, name: str, commit: str) -> str:
        return f"file://{self._directory}/{name}#{commit}"


@pytest.mark.programs
def test_clone_of_another_package(tmp_path: Path) -> None:
    other = make_checkout(tmp_path / "distgit" / "container" / "base")
    (other / "Dockerfile").write_text("FROM scratch\n")
    for command in (["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", *command], cwd=other, check=True, timeout=PATIENCE)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=other, check=True, capture_output=True, timeout=PATIENCE)
    own = Checkout(
        path=tmp_path, namespace="container", name="hello", branch="rawhide", branch_known=True, detached=False,
        commit="0" * 40, source="x", tracked=frozenset(), untracked=("x",), changed=("y",), upstream="", ahead=1,
        behind=1,
    )  # fmt: skip
    commands = cast(RpkgCommands, cast(Any, _Commands(tmp_path / "distgit")))
    clone = own.clone_other(commands, "base", tmp_path / "clone")
    commit = head.stdout.decode().strip()
    assert (clone.namespace, clone.name, clone.branch, clone.commit) == ("container", "base", "rawhide", commit)
    assert clone.source == f"file://{tmp_path}/distgit/container/base#{commit}"
    assert clone.tracked == {"Dockerfile"}
    assert (clone.untracked, clone.changed, clone.ahead, clone.behind) == ((), (), 0, 0)
    for name, branch in (("nosuch", "rawhide"), ("base", "f99")):
        with pytest.raises(CheckoutError, match=f"cannot clone branch {branch} of container/{name}"):
            replace(own, branch=branch).clone_other(commands, name, tmp_path / f"{name}-{branch}")
