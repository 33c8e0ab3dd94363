# SPDX-License-Identifier: GPL-2.0-or-later
"""The images of pods: they contain what a pod needs, and ``fedpkg container-build`` accepts them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fedpkg_container import __version__
from fedpkg_container.cluster.tekton import COMMAND
from fedpkg_container.distgit import rules
from fedpkg_container.engines.isolation import RUNTIMES
from fedpkg_container.pod.selfcheck import PROGRAMS
from tests.support.checkout import read_nothing

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "packaging/pod").iterdir())
#: Packages of programs, where the names differ: Fedora's, Debian's.
PACKAGES = {
    "git": ("git-core", "git"),
    "bwrap": ("bubblewrap", "bubblewrap"),
    "setpriv": ("util-linux", "util-linux"),
    "ip": ("iproute", "iproute2"),
}


def test_there_are_two() -> None:
    assert [path.name for path in FILES] == ["Containerfile", "Containerfile.debian"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_checks_of_a_build(path: Path, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(path.read_text())
    copied = ["setup.py", "pyproject.toml", "README.md", "fedpkg_container/__init__.py"]
    for name in copied:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    checkout = dataclasses.replace(
        read_nothing(tmp_path), name="fedpkg-container-pod", tracked=frozenset({"Containerfile", *copied})
    )
    assert [finding for finding in rules.check(checkout, local=False) if finding.severity == "error"] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_it_contains(path: Path) -> None:
    text = path.read_text()
    words = set(text.split())
    column = int(path.suffix == ".debian")
    for program in (*PROGRAMS, *RUNTIMES, "slirp4netns", "netavark"):
        assert PACKAGES.get(program, (program, program))[column] in words, program
    command = '", "'.join(COMMAND)
    assert f'ENTRYPOINT ["{command}"]' in text, "a Task of Tekton has the same command"
    assert f'version="{__version__}"' in text
