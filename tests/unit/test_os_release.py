# SPDX-License-Identifier: GPL-2.0-or-later
"""Distribution of an image, read without following links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fedpkg_container.image.inspect.describe import read_distribution


def _write(root: Path, place: str, text: str) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('NAME="Fedora Linux"\nID=fedora\nVERSION_ID=41\n', {"id": "fedora", "version": "41"}),
        ("ID=\"centos\"\nVERSION_ID='9'\n", {"id": "centos", "version": "9"}),
        ("ID=arch\n", {"id": "arch"}),
        ("ID=../../etc\nVERSION_ID=$(id)\n", {}),
        ("", {}),
    ],
)
def test_distribution_from_os_release(text: str, found: dict[str, str], tmp_path: Path) -> None:
    _write(tmp_path, "etc/os-release", text)
    assert read_distribution(tmp_path) == found


def test_usr_lib_takes_precedence_over_etc(tmp_path: Path) -> None:
    _write(tmp_path, "usr/lib/os-release", "ID=fedora\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").symlink_to("../usr/lib/os-release")
    assert read_distribution(tmp_path) == {"id": "fedora"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    _write(tmp_path, "builder/os-release", "ID=builder\n")
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    (root / "usr/lib").symlink_to(tmp_path / "builder")
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to(tmp_path / "builder/os-release")
    assert read_distribution(root) == {}


def test_other_file_types_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/os-release")
    assert read_distribution(tmp_path) == {}
