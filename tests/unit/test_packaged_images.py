# SPDX-License-Identifier: GPL-2.0-or-later
"""The images of this project: they contain what they need, and ``fedpkg container-build`` accepts them."""

from __future__ import annotations

import dataclasses
import re
from importlib import metadata
from pathlib import Path

import pytest

from fedpkg_container import __version__
from fedpkg_container.cluster.tekton import COMMAND
from fedpkg_container.distgit import rules
from fedpkg_container.engines.isolation import RUNTIMES
from fedpkg_container.pod.selfcheck import PROGRAMS
from tests.support.checkout import read_nothing

ROOT = Path(__file__).parents[2]
#: Directory of each image → its name.
IMAGES = {"pod": "fedpkg-container-pod", "registry-image": "fedpkg-container-registry"}
FILES = sorted((ROOT / "packaging").glob("*/Containerfile*"))
PODS = [path for path in FILES if path.parent.name == "pod"]
REGISTRY = [path for path in FILES if path.parent.name == "registry-image"]
#: Packages of programs, where the names differ: Fedora's, Debian's.
PACKAGES = {
    "git": ("git-core", "git"),
    "bwrap": ("bubblewrap", "bubblewrap"),
    "setpriv": ("util-linux", "util-linux"),
    "ip": ("iproute", "iproute2"),
}
#: Files outside of the Python package that its installation needs.
DATA = ("docs/man/fedpkg-container.1", "completion/fedpkg-container.bash")


def _id(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def test_there_are_two_of_each() -> None:
    names = ["Containerfile", "Containerfile.debian"]
    assert [_id(path) for path in FILES] == [f"{image}/{name}" for image in IMAGES for name in names]


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_the_checks_of_a_build(path: Path, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(path.read_text())
    copied = ["pyproject.toml", "README.md", "LICENSE", "fedpkg_container/__init__.py", *DATA]
    for name in copied:
        assert (ROOT / name).is_file()
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    checkout = dataclasses.replace(
        read_nothing(tmp_path), name=IMAGES[path.parent.name], tracked=frozenset({"Containerfile", *copied})
    )
    assert [finding for finding in rules.check(checkout, local=False) if finding.severity == "error"] == []


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_the_source_is_complete(path: Path) -> None:
    copied = re.findall(r"^COPY (\S+) /source/\1$", path.read_text(), re.MULTILINE)
    section = (ROOT / "pyproject.toml").read_text().partition("[tool.setuptools.data-files]")[2].partition("[tool.")[0]
    data = re.findall(r'= \["([^"]+)"\]', section)
    assert len(data) >= len(DATA)
    assert [name for name in data if str(Path(name).parent) not in copied] == []


@pytest.mark.parametrize("path", PODS, ids=_id)
def test_what_a_pod_contains(path: Path) -> None:
    text = path.read_text()
    words = set(text.split())
    column = int(path.suffix == ".debian")
    for program in (*PROGRAMS, *RUNTIMES, "slirp4netns", "netavark"):
        assert PACKAGES.get(program, (program, program))[column] in words, program
    command = '", "'.join(COMMAND)
    assert f'ENTRYPOINT ["{command}"]' in text, "a Task of Tekton has the same command"


@pytest.mark.parametrize("path", REGISTRY, ids=_id)
def test_what_the_image_of_the_registry_tools_contains(path: Path) -> None:
    text = path.read_text()
    words = set(text.replace('"', "").split())
    # Fedora's package has another name than the module; it is named by what it provides.
    others = {"packageurl-python": "python3dist(packageurl-python)", "PyNaCl": "python3-pynacl"}
    if path.suffix == ".debian":
        others = {"packageurl-python": "python3-packageurl", "PyNaCl": "python3-nacl"}
    for line in metadata.requires("fedpkg-container") or []:
        name = re.split("[;<>=\\[ ]", line)[0]
        if "extra" not in line or 'extra == "registry"' in line:
            package = others.get(name, f"python3-{name}")
            assert package in words or (name == "koji" and "[registry]'" in text), package
    assert "skopeo" in words
    assert 'ENTRYPOINT ["/usr/bin/python3", "-I", "-m", "fedpkg_container.registry_cli"]' in text


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_labels(path: Path) -> None:
    text = path.read_text()
    name = IMAGES[path.parent.name]
    assert f'com.redhat.component="{name}-container"' in text
    assert f' name="{name}"' in text
    assert f'version="{__version__}"' in text


@pytest.mark.parametrize("path", REGISTRY, ids=_id)
def test_the_image_of_the_registry_tools_does_not_run_as_root(path: Path) -> None:
    lines = path.read_text().splitlines()
    user = next(line for line in lines if line.startswith("USER "))
    assert re.fullmatch("USER [1-9][0-9]{3,}:[1-9][0-9]{3,}", user), "a number, for runAsNonRoot of Kubernetes"
    assert not [line for line in lines[lines.index(user) :] if line.startswith(("RUN", "COPY"))]
