"""What the man pages say is what the programs take."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from fedpkg_container.box.cli import _parser
from fedpkg_container.cli import make_client, site_name

MAN = Path(__file__).parents[2] / "docs" / "man"


def _options(parser: argparse.ArgumentParser) -> set[str]:
    found = {text for action in parser._actions for text in action.option_strings if text.startswith("--")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(*(_options(each) for each in action.choices.values()))
    return found


def _documented(name: str) -> set[str]:
    text = (MAN / name).read_text().replace("\\-", "-")
    return set(re.findall(r"--[a-z][a-z-]+", text))


def test_the_box() -> None:
    assert _documented("fedpkg-container-box.1") == _options(_parser())


def test_container_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["fedpkg", "container-build"])
    client = make_client("fedpkg", ["container-build"])
    assert _documented("fedpkg-container.1") == _options(client.container_build_parser)


@pytest.mark.parametrize(
    ("program", "site"),
    [
        ("/usr/bin/fedpkg-container", "fedpkg"),
        ("fedpkg", "fedpkg"),
        ("/opt/centpkg-container", "centpkg"),
        ("/x/__main__.py", "fedpkg"),
    ],
)
def test_a_program_is_called_after_its_site(program: str, site: str) -> None:
    assert site_name(program) == site
