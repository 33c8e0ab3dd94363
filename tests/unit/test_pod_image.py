# SPDX-License-Identifier: GPL-2.0-or-later
"""The images of pods: they contain what a pod needs, and ``fedpkg container-build`` accepts them."""

from __future__ import annotations

import dataclasses
import re
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
#: Files outside of the Python package that its installation needs.
DATA = ("docs/man/fedpkg-container.1", "completion/fedpkg-container.bash")


def test_there_are_two() -> None:
    assert [path.name for path in FILES] == ["Containerfile", "Containerfile.debian"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_checks_of_a_build(path: Path, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(path.read_text())
    copied = ["pyproject.toml", "README.md", "LICENSE", "fedpkg_container/__init__.py", *DATA]
    for name in copied:
        assert (ROOT / name).is_file()
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    checkout = dataclasses.replace(
        read_nothing(tmp_path), name="fedpkg-container-pod", tracked=frozenset({"Containerfile", *copied})
    )
    assert [finding for finding in rules.check(checkout, local=False) if finding.severity == "error"] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_source_is_complete(path: Path) -> None:
    copied = re.findall(r"^COPY (\S+) /source/\1$", path.read_text(), re.MULTILINE)
    section = (ROOT / "pyproject.toml").read_text().partition("[tool.setuptools.data-files]")[2].partition("[tool.")[0]
    data = re.findall(r'= \["([^"]+)"\]', section)
    assert len(data) >= len(DATA)
    assert [name for name in data if str(Path(name).parent) not in copied] == []


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
