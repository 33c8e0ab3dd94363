# SPDX-License-Identifier: GPL-2.0-or-later
"""Isolated networks on machines that cannot make them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fedpkg_container.engines import network
from fedpkg_container.errors import FedpkgContainerError

PROGRAMS = ("slirp4netns", "unshare", "nsenter", "ip")


@pytest.mark.parametrize("missing", PROGRAMS)
def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in PROGRAMS:
        if name != missing:
            (tmp_path / name).symlink_to(shutil.which(name) or "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FedpkgContainerError, match=f"needs an isolated network, and {missing} is not installed"):
        network.check("isolated")
    network.check("none")
    network.check("host")


def test_a_missing_device_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(network, "_DEVICE", tmp_path / "tun")
    with pytest.raises(FedpkgContainerError, match="needs an isolated network, and there is no .*/tun"):
        network.check("isolated")
