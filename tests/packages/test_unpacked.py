# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that make check-stock unpacks instead of installing the source."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fedpkg_container.errors import FedpkgContainerError
from tests.stock.source import unpack
from tests.support.waiting import PATIENCE

#: Package → files, relative to the root.
FILES = {
    "python3-fedpkg-container": ["usr/lib/python3/dist-packages/fedpkg_container/__init__.py"],
    "fedpkg-container-hub": ["usr/lib/koji-hub-plugins/hub_containerbuild.py"],
    "fedpkg-container-builder": ["usr/lib/koji-builder-plugins/builder_containerbuild.py"],
    "fedpkg-container-box": ["usr/lib/python3/dist-packages/fedpkg_container/box/tls.py"],
}

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed"),
]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A directory with the Debian packages."""
    directory = tmp_path / "packages"
    directory.mkdir()
    for name, files in FILES.items():
        root = tmp_path / name
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
        for path, text in {"DEBIAN/control": control, **dict.fromkeys(files, "")}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", root, directory / f"{name}_1_all.deb"],
            check=True, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
    return directory


def test_modules_and_plugins_are_found(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    found = unpack(packages, tmp_path / "unpacked")
    assert (found.site / "fedpkg_container" / "__init__.py").is_file()
    assert (found.site / "fedpkg_container" / "box" / "tls.py").is_file(), "tests/stock/hub_server.py imports it"
    assert [path.name for path in found.hub_plugins.iterdir()] == ["hub_containerbuild.py"]
    assert [path.name for path in found.builder_plugins.iterdir()] == ["builder_containerbuild.py"]


@pytest.mark.parametrize("change", ["missing", "twice"])
def test_packages_of_one_build_are_required(packages: Path, tmp_path: Path, change: str) -> None:
    (tmp_path / "unpacked").mkdir()
    path = packages / "fedpkg-container-hub_1_all.deb"
    if change == "missing":
        path.unlink()
    else:
        shutil.copy(path, packages / "fedpkg-container-hub_2_all.deb")
    with pytest.raises(
        FedpkgContainerError, match=rf"has {0 if change == 'missing' else 2} packages fedpkg-container-hub"
    ):
        unpack(packages, tmp_path / "unpacked")
