"""What the man pages say is what the programs take."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
from pathlib import Path

import pytest

from fedpkg_container.box.cli import _parser
from fedpkg_container.cli import make_client, site_name
from fedpkg_container.model.checks import CHECKS

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


def test_every_check_is_documented() -> None:
    make = runpy.run_path(str(MAN.parent / "make_checks.py"))
    assert (MAN.parent / "checks.md").read_text() == make["page"]()


def test_every_code_of_a_finding_is_in_the_table_of_checks() -> None:
    package = MAN.parents[1] / "fedpkg_container"
    used: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            used |= _codes(node)
    assert used == set(CHECKS)


def _codes(node: ast.AST) -> set[str]:
    """The codes that an expression gives to findings: their first argument, or the first part of a tuple for one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding" and node.args:
        first = node.args[0]
        return {str(first.value)} if isinstance(first, ast.Constant) else set()
    if isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[0], ast.Constant):
        return {str(node.elts[0].value)} & set(CHECKS)
    return set()
