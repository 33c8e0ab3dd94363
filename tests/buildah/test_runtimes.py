# SPDX-License-Identifier: GPL-2.0-or-later
"""OCI runtimes: each that is installed runs a program in a worker, and the first that does is used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fedpkg_container.engines import isolation
from fedpkg_container.engines.isolation import RUNTIMES, Isolation
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import FedpkgContainerError

pytestmark = pytest.mark.programs


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_runs_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    if shutil.which(runtime) is None:
        pytest.skip(f"{runtime} is not installed")
    monkeypatch.setattr(isolation, "RUNTIMES", (runtime,))
    try:
        assert isolation.probe(Workspaces(tmp_path / "state")) == Isolation(runtime)
    except FedpkgContainerError as error:
        if "cgroups in hybrid mode not supported" in error.reason:
            pytest.skip(f"{runtime} supports no machine that uses both versions of control groups")
        raise


def test_a_runtime_that_does_not_work_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "RUNTIMES", ("false", "true"))
    with pytest.raises(FedpkgContainerError, match=r"false: .*; true: ") as failed:
        isolation.probe(Workspaces(tmp_path / "state"))
    assert "docs/howto/site.md" in failed.value.solution
    monkeypatch.setattr(isolation, "RUNTIMES", ("missing-runtime",))
    with pytest.raises(FedpkgContainerError, match="missing-runtime is not installed") as failed:
        isolation.probe(Workspaces(tmp_path / "state"))
    assert failed.value.solution == "install runc"
    assert os.listdir(tmp_path / "state" / "builds") == []
