# SPDX-License-Identifier: GPL-2.0-or-later
"""Requirements in the packages of distributions are those of pyproject.toml."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "packaging" / "rpm" / "fedpkg-container.spec"
#: Distribution → its macro and version.
RELEASES = {"Fedora 42": "fedora 42", "Fedora 43": "fedora 43", "EPEL 10": "rhel 10"}


def test_requirements_of_the_spec_are_those_of_the_extras() -> None:
    """By the names of PyPI, which Fedora's packages of modules provide: names of packages differ, and change."""
    required = set()
    for line in metadata.requires("fedpkg-container") or []:
        name = re.split("[;<>=\\[ ]", line)[0]
        if not re.search("extra == .(dev|test)", line) and name not in ("fedpkg-container", "rpm"):
            required.add(f"python3dist({canonicalize_name(name)})")
    assert len(required) > 10
    spec = SPEC.read_text()
    assert {name for name in required if name not in spec} == set()
    assert "python3-rpm\n" in spec, "not all versions of it have the metadata of Python modules"


def test_versions_of_setuptools_are_the_same() -> None:
    """In the environment of make check-stock, in debian/control, and where the spec replaces them."""
    needed = re.search(r'^requires = \["setuptools>=(\d+)"\]$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert needed
    stock = (ROOT / "tests" / "stock" / "requirements.txt").read_text().splitlines()
    assert {f"setuptools>={needed[1]}", "packaging>=24.2"} <= set(stock), "setuptools 77 needs the other for licenses"
    assert f's/"setuptools>={needed[1]}"/' in SPEC.read_text()
    assert f"python3-setuptools (>= {needed[1]})," in (ROOT / "debian" / "control").read_text()


@pytest.mark.programs
@pytest.mark.skipif(shutil.which("rpmspec") is None, reason="needs rpmspec")
@pytest.mark.parametrize("release", RELEASES)
def test_the_spec_of_a_release(release: str) -> None:
    """Its own macros are replaced: only the conditions of the spec are tested."""
    name, version = RELEASES[release].split()
    undefined = [option for each in {"fedora", "rhel"} - {name} for option in ("--undefine", each)]
    options = ["--load", SPEC.with_name("macros.other"), *undefined, "--define", RELEASES[release]]
    parsed = subprocess.run(
        ["rpmspec", *options, "--parse", SPEC],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    ).stdout  # fmt: skip
    has_old_setuptools = name == "rhel" or int(version) < 43
    assert ("setuptools>=61" in parsed) == has_old_setuptools, "Fedora 42 has version 74, RHEL 10 has 69"
    assert ("-m pytest" in parsed) == (name == "fedora"), "EPEL does not have what the tests need"
    assert len(re.findall(r"^Requires:? +slirp4netns$", parsed, re.MULTILINE)) == (0 if name == "rhel" else 2)
    assert "python3dist(jsonschema)" in parsed
