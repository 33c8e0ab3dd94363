# SPDX-License-Identifier: GPL-2.0-or-later
"""Requirements in the packages of distributions are those of pyproject.toml."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "packaging" / "rpm" / "fedpkg-container.spec"
#: Distribution → its macro and version.
RELEASES = {
    "Fedora 42": "fedora 42",
    "Fedora 43": "fedora 43",
    "EPEL 9": "rhel 9",
    "EPEL 10": "rhel 10",
    "others": "other 1",
}


def test_requirements_of_the_spec_are_those_of_the_extras() -> None:
    """With the names of PyPI, which Fedora's packages provide: names of packages differ, and change."""
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
    name = RELEASES[release].split()[0]
    undefined = [option for each in {"fedora", "rhel"} - {name} for option in ("--undefine", each)]
    options = ["--load", str(SPEC.with_name("macros.other")), *undefined, "--define", RELEASES[release]]
    parsed = subprocess.run(
        ["rpmspec", *options, "--parse", SPEC],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    ).stdout  # fmt: skip
    has_old_setuptools = release in ("Fedora 42", "EPEL 10")
    assert ("setuptools>=61" in parsed) == has_old_setuptools, "Fedora 42 has version 74, RHEL 10 has 69"
    assert ("setup_cfg.py >setup.cfg" in parsed) == (release == "EPEL 9")
    assert ("-m pytest" in parsed) == (name == "fedora"), "EPEL does not have what the tests need"
    assert len(re.findall(r"^Requires:? +slirp4netns$", parsed, re.MULTILINE)) == (0 if release == "EPEL 10" else 2)
    assert "python3dist(jsonschema)" in parsed


@pytest.mark.programs
def test_setup_cfg_has_what_pyproject_toml_has() -> None:
    """For EPEL 9, whose setuptools does not read the latter."""
    tomllib = pytest.importorskip("tomllib", reason="in Python since 3.11")
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    done = subprocess.run(
        [sys.executable, SPEC.with_name("setup_cfg.py")],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(done.stdout)

    def lines(section: str, name: str) -> list[str]:
        return parser[section][name].strip().splitlines()

    project, tool = pyproject["project"], pyproject["tool"]["setuptools"]
    assert parser["metadata"]["name"] == project["name"]
    assert lines("options", "install_requires") == project["dependencies"]
    for extra, required in project["optional-dependencies"].items():
        assert lines("options.extras_require", extra) == required
    assert lines("options.entry_points", "console_scripts") == [" = ".join(each) for each in project["scripts"].items()]
    assert lines("options.entry_points", "rpkg.clients") == [
        "fedpkg-container = fedpkg_container.rpkg_extension:extend"
    ]
    for directory in tool["data-files"]:
        files = lines("options.data_files", directory)
        assert files
        assert [name for name in files if not (ROOT / name).is_file()] == []
    assert set(parser["options.package_data"]) == set(tool["package-data"])
    assert set(tool) == {"dynamic", "packages", "package-data", "data-files"}, "all of it is converted"
