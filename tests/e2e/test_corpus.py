# SPDX-License-Identifier: GPL-2.0-or-later
"""Dockerfiles in the idioms of public images (``tests/corpus``), all checked and built in the box."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.model.platforms import platform_of
from tests.support.images import unpacked
from tests.support.packager import Packager, pull_specs

pytestmark = pytest.mark.slow

CORPUS = Path(__file__).parents[1] / "corpus"
GO_ARCH = platform_of(MACHINE).architecture
#: First line of the corpus's files.
HEADER = "# SPDX-License-Identifier: GPL-2.0-or-later\n"


@dataclass(frozen=True)
class Expected:
    """The expected result of a build.

    :param nvr: NVR without the name of the package
    :param files: paths in the image, with their content; None for any content
    :param absent: paths that the image must not have
    """

    nvr: str
    files: dict[str, str | None] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


FAMILIES = {
    "fedora-guidelines": Expected("0.1-2.f41container", {"etc/greeter.conf": "port=8080\n", "README.md": None}),
    "s2i": Expected("1-1", {"usr/libexec/s2i/assemble": None, "opt/app-root/etc/generate": "x\n"}),
    "toolbox": Expected("41-1", {"README.md": "# Toolbox\n", "etc/localtime": ""}, ("extra-packages",)),
    "httpd": Expected("2.4-1", {"usr/bin/run-httpd": None, "var/www/html/index.html": "hello\n"}),
    "postgresql": Expected("16-1", {"usr/libexec/fix-permissions": None, "usr/libexec/s2i/run": "x\n"}),
    "cockpit": Expected("330-1", {"installed": "installed", "container/labels": "x\n"}, ("container/install.sh",)),
    "bootc": Expected(
        "41-1",
        {"usr/lib/built": "done\n", "etc/hostname.conf": "x\n", "usr/lib/bootc/install/10.toml": None},
        ("ctx/build.sh", "build_files"),
    ),
    "language": Expected(
        "20-1",
        {"opt/app/package-lock.json": "{}\n", "opt/app/src/index.js": "x\n", "opt/app/docs/kept.md": None},
        ("opt/app/docs/readme.md", "opt/app/Dockerfile", "opt/app/.git"),
    ),
    "multi-stage-go": Expected("1.2.3-1", {"usr/bin/app": "package main\n", "usr/share/app/go.mod": None}, ("bin/sh",)),
    "multi-stage-rust": Expected("0.3.0-1", {"usr/bin/program": None, "usr/share/program/Cargo.toml": None}),
    "multi-arch": Expected("3-1", {"usr/bin/tool": None, "usr/share/tool/arch": f"{GO_ARCH}\n"}),
}


def _commit(packager: Packager, family: str, **values: str) -> None:
    shutil.copytree(CORPUS / family, packager.checkout, symlinks=True, dirs_exist_ok=True)
    (dockerfile,) = [packager.checkout / name for name in ("Containerfile", "Dockerfile") if _exists(packager, name)]
    text = dockerfile.read_text().replace("@NAME@", packager.name)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    dockerfile.write_text(text)
    packager.run("git", "add", "--all")
    packager.run("git", "commit", "--quiet", "--message", "a change")
    packager.run("git", "push", "--quiet", "--set-upstream", "origin", "HEAD:rawhide")


def _exists(packager: Packager, name: str) -> bool:
    return (packager.checkout / name).exists()


@pytest.fixture(scope="module")
def parent(box: Box, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pull spec of a base image with the variables of Fedora's."""
    packager = Packager.make(box, tmp_path_factory.mktemp("parent"))
    _commit(packager, "parent", BASE=packager.base)
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return pull_specs(done.stdout)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_checked_and_built(packager: Packager, box: Box, parent: str, tmp_path: Path, family: str) -> None:
    expected = FAMILIES[family]
    _commit(packager, family, PARENT=parent)
    checked = packager.build("--dry-run", "--offline")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    session = box.session(ADMIN)
    build = session.getBuild(f"{packager.name}-container-{expected.nvr}")
    session.logout()
    assert build is not None, done.stdout
    root = unpacked(box, pull_specs(done.stdout)[1], tmp_path)
    for path, content in expected.files.items():
        assert (root / path).is_file(), path
        assert content is None or (root / path).read_text().removeprefix(HEADER) == content
    assert [path for path in expected.absent if (root / path).exists()] == []


def test_every_family_is_built() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {*FAMILIES, "parent"}
