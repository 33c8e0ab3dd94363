# SPDX-License-Identifier: GPL-2.0-or-later
"""The workflows of continuous integration call what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = (".github/workflows/check.yml", ".gitlab-ci.yml", ".packit.yaml", ".ci/run")


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_targets_exist(name: str) -> None:
    called = set(re.findall(r"(?:run:|- |&& |exec) ?make ([a-z-]+)\b", (ROOT / name).read_text()))
    assert called <= _targets()
    if name != ".packit.yaml":
        assert "check" in called


@pytest.mark.parametrize("name", WORKFLOWS[:2])
def test_each_forge_runs_all_checks(name: str) -> None:
    """On the systems and the Pythons of the users."""
    text = (ROOT / name).read_text()
    called = set(re.findall(r"(?:run:|- |&& ) ?make ([a-z-]+)\b", text))
    assert {"check", "demo", "check-packages", "check-wheels", "check-oldest", "check-audit", "lint-ansible"} <= called
    for word in ("3.9", "3.11", "3.13", "3.14", "fedora:42", "fedora:43", "fedora:rawhide", "debian:13", "debian:sid"):
        assert re.search(rf"{re.escape(word)}[\s\"\]]", text), word


@pytest.mark.parametrize("name", WORKFLOWS[:3])
def test_a_workflow_is_yaml(name: str) -> None:
    assert isinstance(YAML(typ="safe").load(ROOT / name), dict)


def test_packages_are_built_from_existing_files() -> None:
    packit = YAML(typ="safe").load(ROOT / ".packit.yaml")
    assert (ROOT / packit["specfile_path"]).is_file()
