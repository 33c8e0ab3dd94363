# SPDX-License-Identifier: GPL-2.0-or-later
"""The option ``--koji-tag`` of fedpkg-container-registry, and its deprecated name."""

from __future__ import annotations

import pytest

from fedpkg_container.commands.registry.arguments import koji_tag
from fedpkg_container.registry_cli import make_parser

COMMANDS = (["promote"], ["import-base", "registry.example.org/base:1"])


@pytest.mark.parametrize("command", COMMANDS)
def test_koji_tag(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert koji_tag(make_parser().parse_args([*command, "--koji-tag", "f42-updates"])) == "f42-updates"
    assert koji_tag(make_parser().parse_args(command)) == ""
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_deprecated_name_is_accepted_with_a_warning(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert koji_tag(make_parser().parse_args([*command, "--tag", "f42-updates"])) == "f42-updates"
    assert capsys.readouterr().err == "warning: --tag is deprecated; use --koji-tag instead\n"
    with pytest.raises(SystemExit):
        make_parser().parse_args([*command, "--tag", "f42-updates", "--koji-tag", "f43-updates"])
