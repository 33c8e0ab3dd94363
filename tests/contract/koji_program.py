# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the koji program, run in this process with the sessions of the contract tests."""

from __future__ import annotations

import types
from typing import Any

import koji_cli.commands
import pytest

BOX = "http://box.example.org"


class Program:
    """The koji program with the sessions of an administrator and a packager."""

    def __init__(self, admin: Any, packager: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.sessions = {"admin": admin, "packager": packager}
        self._capsys = capsys

    def __call__(self, command: str, *arguments: object, user: str = "admin") -> str:
        """Run a command that succeeds; return its output."""
        status, output, errors = self.run(command, *arguments, user=user)
        assert not status, output + errors
        return output

    def run(self, command: str, *arguments: object, user: str = "admin") -> tuple[object, str, str]:
        """Run a command; return exit status and outputs."""
        name = command.replace("-", "_")
        commands = vars(koji_cli.commands)
        handler = commands.get(f"handle_{name}") or commands[f"anon_handle_{name}"]
        options = types.SimpleNamespace(
            quiet=False, debug=False, noauth=False, force_auth=False, weburl=BOX, topurl=f"{BOX}/kojifiles",
            topdir="/nonexistent", poll_interval=1, server=BOX, cert=None, authtype=None, principal=None, keytab=None,
        )  # fmt: skip
        self._capsys.readouterr()
        try:
            status = handler(options, self.sessions[user], [str(each) for each in arguments])
        except SystemExit as ended:
            status = ended.code
        finally:
            self.sessions[user].multicall = False
        return (status, *self._capsys.readouterr())
