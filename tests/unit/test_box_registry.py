# SPDX-License-Identifier: GPL-2.0-or-later
"""The registries of a box: the program of each distribution, and its environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fedpkg_container.box import nginx
from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import Layout
from fedpkg_container.box.registry import program
from fedpkg_container.errors import FedpkgContainerError


@pytest.mark.parametrize("name", ["docker-registry", "registry"])
def test_the_program_of_each_distribution_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Fedora's package docker-distribution installs it as registry."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FedpkgContainerError, match="program not found: docker-registry"):
        program()
    (tmp_path / name).symlink_to(shutil.which("true", path="/bin:/usr/bin") or "")
    assert program() == name


def test_registries_send_no_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 3 sends them to a port of the machine, unless this variable is set."""
    monkeypatch.setattr("fedpkg_container.box.registry.program", lambda: "registry")
    monkeypatch.setattr(nginx, "command", lambda *_: ["nginx"])
    services = Box(Layout.open(tmp_path / "box").with_distribution()).services
    registries = {each.name: each for service in services for each in (service, service.backend)
                  if each is not None and "registry" in each.command}  # fmt: skip
    assert sorted(registries) == ["registry-storage", "stable"]
    for service in registries.values():
        assert service.environment == {"OTEL_TRACES_EXPORTER": "none"}
