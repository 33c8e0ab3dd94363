# SPDX-License-Identifier: GPL-2.0-or-later
"""The help texts of our programs."""

from __future__ import annotations

import argparse
import configparser
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container import __version__, cluster_cli
from fedpkg_container.box.cli import _parser as box_parser
from fedpkg_container.client import Client
from fedpkg_container.registry_cli import make_parser

ROOT = Path(__file__).parents[2]


def _all(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _all(each)


@pytest.mark.parametrize(
    "parser",
    [*_all(make_parser()), *_all(box_parser()), *_all(cluster_cli.make_parser())],
    ids=lambda each: str(each.prog),
)
def test_a_help_fits_80_columns(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in parser.format_help().splitlines() if len(line) > 80] == []


def _entry_points() -> dict[str, str]:
    """Programs that are installed, and the functions that they call."""
    found = metadata.distribution("fedpkg-container").entry_points
    return {point.name: point.value for point in found if point.group == "console_scripts"}


@pytest.mark.parametrize(("program", "function"), sorted(_entry_points().items()))
def test_every_program_has_a_version(
    program: str, function: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", [f"/usr/bin/{program}", "--version"])
    module, _, name = function.partition(":")
    with pytest.raises(SystemExit) as ended:
        getattr(import_module(module), name)()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{program} {__version__}\n"


def test_a_site_keeps_its_own_version_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Site:
        def __init__(self, *_: object, **__: object) -> None:
            self.setup_argparser()

        def setup_completers(self) -> None:
            pass

        def set_completer(self, *_: object) -> None:
            pass

        def setup_argparser(self) -> None:
            self.parser = argparse.ArgumentParser()
            self.parser.add_argument("--version", action="version", version="site 1")

    client: Any = type("ContainerClient", (Client, Site), {})(configparser.ConfigParser(), "site")
    assert [action.version for action in client.parser._actions if "--version" in action.option_strings] == ["site 1"]
