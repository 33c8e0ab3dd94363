# SPDX-License-Identifier: GPL-2.0-or-later
"""A box with a cluster: started, described, and usable by its builders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.layout import Layout
from fedpkg_container.box.machines import MACHINE
from tests.support.site import FILE
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.root, pytest.mark.slow]


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"fedpkg_container.{program}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory for a box, which is stopped afterwards."""
    yield tmp_path / "box"
    _run("box.cli", "-d", str(tmp_path / "box"), "down")


def test_a_box_with_a_cluster(directory: Path) -> None:
    started = _run("box.cli", "-d", str(directory), "up", "--cluster")
    assert started.returncode == 0, started.stderr
    layout = Layout.open(directory)
    assert layout.cluster is not None
    assert f"cluster   {layout.cluster.url} (simulated; {layout.cluster.kubeconfig})\n" in started.stdout
    site = layout.builder("builder-1") / FILE
    checked = _run("cluster_cli", "check", "--json", "--config", str(site))
    assert checked.returncode == 0, (checked.stdout, checked.stderr)
    results = json.loads(checked.stdout)[MACHINE]
    assert results["registry"] == f"ok {layout.registry_address}"
    assert results["user namespace"] == "ok yes"
    shown = _run("box.cli", "-d", str(directory), "status")
    assert "cluster     running" in shown.stdout, shown.stdout
