# SPDX-License-Identifier: GPL-2.0-or-later
"""The documentation compared with the programs: options, checks, keys, and paths of modules."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
from pathlib import Path

import pytest

from docs import make_registries
from fedpkg_container import cluster_cli
from fedpkg_container.box.cli import _parser
from fedpkg_container.cli import make_client, site_name
from fedpkg_container.distgit import effective
from fedpkg_container.distgit.container_yaml_schema import keys
from fedpkg_container.distgit.effective import SETTINGS
from fedpkg_container.model.checks import CHECKS
from fedpkg_container.model.options import option_problems, unavailable_options
from fedpkg_container.registry_cli import make_parser

#: A module in a code span of a page, with its directory.
MODULE = r"`((?:[\w-]+/)+\w+\.py)`"
#: Modules of other projects that the pages name.
FOREIGN = {"koji/daemon.py"}
#: A code of a finding in a program's text.
CODE = r'"((?:yaml|tags?)-[a-z-]+)"'
MAN = Path(__file__).parents[2] / "docs" / "man"


def _options(parser: argparse.ArgumentParser) -> set[str]:
    shown = [action for action in parser._actions if action.help is not argparse.SUPPRESS]
    found = {text for action in shown for text in action.option_strings if text.startswith("--")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(*(_options(each) for each in action.choices.values()))
    return found


def _documented(name: str, section: str = "") -> set[str]:
    """The options in a man page, or in one section of it."""
    text = (MAN / name).read_text().replace("\\-", "-")
    if section:
        found = re.search(rf"^\.SH {section}\n(.*?)(?=^\.SH )", text, re.MULTILINE | re.DOTALL)
        assert found, f"there is no section {section}"
        text = found[1]
    return set(re.findall(r"--[a-z][a-z-]+", text))


def test_options_that_hubs_refuse() -> None:
    """The man page names exactly the options that the hub plugin refuses."""
    text = (MAN / "fedpkg-container.1").read_text().replace("\\-", "-")
    entries = [entry for entry in text.split("\n.TP\n") if re.search("refused by (hubs|the hub)", entry)]
    documented = {option for entry in entries for option in re.findall(r"--([a-z-]+)", entry.splitlines()[0])}
    samples: dict[str, object] = {
        "compose_ids": [1], "signing_intent": "x", "dependency_replacements": ["x"], "skip_build": True,
        "koji_parent_build": "a-1-1", "yum_repourls": ["https://example.org/x.repo"], "userdata": {}, "release": "1",
    }  # fmt: skip
    required = {"git_branch": "rawhide"}
    refused = {
        name
        for name, value in samples.items()
        if unavailable_options({name: value}) or option_problems({**required, name: value})
    }
    names = {"compose_ids": "compose-id", "dependency_replacements": "replace-dependency"}
    assert documented == {names.get(name, name.replace("_", "-")) for name in refused}


def test_the_box() -> None:
    assert _documented("fedpkg-container-box.1") == _options(_parser())


def test_the_registries_program() -> None:
    assert _documented("fedpkg-container-registry.1") == _options(make_parser())


def test_the_clusters_program() -> None:
    assert _documented("fedpkg-container-cluster.1") == _options(cluster_cli.make_parser())


@pytest.mark.parametrize(
    "command", ["container-build", "container-status", "container-build-config", "container-enable", "lint"]
)
def test_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["fedpkg", command])
    client = make_client("fedpkg", [command])
    parser = getattr(client, f"{command.replace('-', '_')}_parser")
    documented = _documented("fedpkg-container.1", f"OPTIONS OF {command.upper()}")
    assert documented | {"--dry-run", "--help"} == _options(parser) | {"--dry-run"}  # the first is global, too


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
    assert (MAN.parent / "reference" / "checks.md").read_text() == make["page"]()


def test_every_instruction_is_documented() -> None:
    make = runpy.run_path(str(MAN.parent / "make_dockerfile.py"))
    assert (MAN.parent / "reference" / "dockerfile.md").read_text() == make["page"]()


def test_every_key_of_container_yaml_is_documented() -> None:
    make = runpy.run_path(str(MAN.parent / "make_container_yaml.py"))
    assert (MAN.parent / "reference" / "container-yaml.md").read_text() == make["page"]()


def test_every_code_of_a_finding_is_in_the_table_of_checks() -> None:
    package = MAN.parents[1] / "fedpkg_container"
    used: set[str] = set()
    for text in (path.read_text() for path in package.rglob("*.py")):
        if "Finding(" in text or any(f'"{code}"' in text for code in CHECKS):  # parsing all takes a second
            used = used.union(*map(_codes, ast.walk(ast.parse(text))))
    assert used == set(CHECKS)


def _codes(node: ast.AST) -> set[str]:
    """The codes that an expression gives to findings: their first argument, or the first part of a tuple for one."""
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        code = str(node.args[0].value)
        finding = isinstance(node.func, ast.Name) and node.func.id == "Finding"
        return {code} if finding else {code} & set(CHECKS)
    if isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[0], ast.Constant):
        return {str(node.elts[0].value)} & set(CHECKS)
    return set()


def test_the_keys_of_container_yaml_are_documented() -> None:
    text = (MAN.parent / "reference" / "container-yaml.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    documented = set(re.findall(r"`\.?([a-z_.]+)`", " ".join(rows)))
    missing = [k for k in keys() if not {k, k.rpartition(".")[2]} & documented and f"`{k}." not in text]
    assert missing == []


def test_the_settings_and_findings_are_documented() -> None:
    text = (MAN.parent / "reference" / "container-yaml.md").read_text()
    assert [key for key in SETTINGS if f"`{key}`" not in text] == []
    sources = (Path(effective.__file__).parent.glob(pattern) for pattern in ("*yaml*.py", "additional_tags.py"))
    found = {code for paths in sources for path in paths for code in re.findall(CODE, path.read_text())}
    assert found <= set(CHECKS)
    assert found == set(re.findall(CODE.replace('"', "`"), text))


def test_modules_in_the_documentation_exist() -> None:
    root = MAN.parents[1]
    places = (root, root / "docs", root / "fedpkg_container", root / "fedpkg_container" / "engines")
    named = {(page.name, name) for page in root.glob("docs/**/*.md") for name in re.findall(MODULE, page.read_text())}
    missing = {(page, name) for page, name in named if not any((place / name).exists() for place in places)}
    assert len(named) > 50
    assert {name for _, name in missing} == FOREIGN, missing


def test_every_registry_is_documented() -> None:
    assert (MAN.parent / "reference" / "registries.md").read_text() == make_registries.text(), (
        "regenerate it: python -m docs.make_registries"
    )
