# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a pod that do not need one."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path

import pytest

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.model import pod as contract
from fedpkg_container.pod import selfcheck
from tests.support.cluster.scripted import spec


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A server at the address of the API server that a pod knows."""
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.getsockname()[1]))
    return server


def test_policies_without_effect(api_server: socket.socket) -> None:
    with api_server:
        assert selfcheck._policies(policed=False).startswith("no effect: the pod can reach the API server (127.0.0.1:")
        with pytest.raises(FedpkgContainerError, match="so the policies have no effect"):
            selfcheck._policies(policed=True)


def test_policies_with_an_effect(api_server: socket.socket) -> None:
    api_server.close()
    assert selfcheck._policies(policed=True).startswith("the pod cannot reach the API server (127.0.0.1:")


def test_policies_that_cannot_be_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert selfcheck._policies(policed=True).startswith("not tested")


@pytest.mark.parametrize(("machine", "arch", "matches"), [("x86_64", "x86_64", True), ("aarch64", "x86_64", False)])
def test_the_architecture_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, arch: str, matches: bool
) -> None:
    (tmp_path / contract.SPEC_FILE).write_bytes(gzip.compress(json.dumps(spec(6, arch).pack()).encode()))
    (tmp_path / contract.SITE_FILE).write_text("[registry]\ncandidate = registry.example.org\n")
    (tmp_path / contract.TOPURL_FILE).write_text("")
    monkeypatch.setattr("platform.machine", lambda: machine)
    if matches:
        assert selfcheck._architecture(tmp_path) == arch
    else:
        with pytest.raises(FedpkgContainerError, match="the node is aarch64, not x86_64"):
            selfcheck._architecture(tmp_path)


def test_a_volume_that_is_not_readable(tmp_path: Path) -> None:
    (tmp_path / "repos" / "tag").mkdir(parents=True)
    assert selfcheck._readable(tmp_path / "repos") == f"{tmp_path}/repos has 1 entry"
    with pytest.raises(OSError, match="No such file"):
        selfcheck._readable(tmp_path / "other")
