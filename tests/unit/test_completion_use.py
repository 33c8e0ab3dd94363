# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that logged in refresh the completion values; completers of rpkg's arguments; shell code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.cli import make_client
from fedpkg_container.commands.exit_status import command_status
from fedpkg_container.completion.__main__ import main
from tests.support.checkouts import make_checkout
from tests.support.tabs import clean_environment

pytestmark = pytest.mark.programs


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Client for a checkout, with a login that always succeeds."""
    monkeypatch.setenv("HOME", clean_environment(tmp_path)["HOME"])
    arguments = ["--path", str(make_checkout(tmp_path / "hello")), "--user", "me", "container-build"]
    monkeypatch.setattr(sys, "argv", ["fedpkg", *arguments])
    monkeypatch.setattr("pyrpkg.Commands.login_koji_session", lambda *_: None)
    return make_client("fedpkg", arguments)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Started refreshes: profile, path, user."""
    refreshes: list[tuple[str, str, str]] = []

    def start(context: Any, *, user: str, now: bool) -> None:
        assert now
        refreshes.append((context.profile, context.path, user))

    monkeypatch.setattr("fedpkg_container.completion.refresh.refresh_if_stale", start)
    return refreshes


def test_refresh_after_a_login(client: Any, started: list[tuple[str, str, str]]) -> None:
    def command() -> int:
        client.cmd.login_koji_session({}, None)
        return 1

    client.args.command = command
    assert command_status(client) == 1
    assert started == [("koji", client.args.path, "me")]


def test_no_refresh_without_a_login(client: Any, started: list[tuple[str, str, str]]) -> None:
    client.args.command = lambda: client.cmd.path and 0
    assert command_status(client) == 0
    assert started == []


def test_completers_of_rpkgs_arguments(client: Any) -> None:
    marked = {
        (command, action.dest): action.completer.kind
        for command in ("build", "container-build", "mockbuild", "switch-branch")
        for action in client.subparsers.choices[command]._actions
        if hasattr(getattr(action, "completer", None), "kind")
    }
    assert marked[("build", "target")] == marked[("container-build", "target")] == "targets"
    assert marked[("build", "arches")] == "arches"
    assert marked[("switch-branch", "branch")] == "branches"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_code(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([shell]) == 0
    code = capsys.readouterr().out
    assert "fedpkg-container" in code
    assert "-o default" not in code


def test_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tcsh"]) == 2
    assert "bash|zsh|fish" in capsys.readouterr().err
