# SPDX-License-Identifier: GPL-2.0-or-later
"""The ENV of a base image, as the client reads it for the labels of a Dockerfile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedpkg_container.commands import parents
from fedpkg_container.commands.parents import known_parents
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.registry.manifests import MANIFEST, Manifest
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import LATE, Fault
from tests.support.pushing import blob, tagged
from tests.support.registries import access
from tests.support.registry_clients import Serve
from tests.support.waiting import slowed

pytestmark = pytest.mark.programs


def _push(repository: Repository, environment: object) -> None:
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": environment}}
    content = blob(repository, json.dumps(config).encode(), "application/vnd.docker.container.image.v1+json")
    tagged(repository, Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST, "config": content, "layers": []}), "1")


def _dockerfile(repository: Repository, version: str = "1.$DISTTAG") -> Dockerfile:
    image = repository.reference.tagged("1")
    return Dockerfile(f"FROM {image}\nLABEL com.redhat.component=c name=c version={version}\n")


def test_labels_are_completed(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parents, "TIMEOUT", slowed(parents.TIMEOUT))
    server, repository = serve()
    _push(repository, ["DISTTAG=fc41"])
    reached = access(tmp_path, server.address, password="registry secret")
    assert known_parents(_dockerfile(repository), access=reached).labels["version"] == "1.fc41"


def test_nothing_is_read_if_no_label_needs_it(serve: Serve, tmp_path: Path) -> None:
    server, repository = serve()
    dockerfile = _dockerfile(repository, "1")
    before = len(server.seen)
    assert known_parents(dockerfile, access=access(tmp_path, server.address, password="registry secret")) is dockerfile
    assert len(server.seen) == before


@pytest.mark.parametrize("environment", ["DISTTAG=fc41", None, [1]])
def test_values_stay_unknown_without_an_image(serve: Serve, tmp_path: Path, environment: object) -> None:
    server, repository = serve()
    if environment is not None:
        _push(repository, environment)
    read = known_parents(_dockerfile(repository), access=access(tmp_path, server.address, password="registry secret"))
    assert read.unknown_labels == {"version"}


def test_a_slow_registry_is_not_waited_for(serve: Serve, tmp_path: Path) -> None:
    server, repository = serve()
    _push(repository, ["DISTTAG=fc41"])
    server.faults["GET .*manifests/1"] = [Fault(200, kind=LATE)] * 50
    read = known_parents(_dockerfile(repository), access=access(tmp_path, server.address, password="registry secret"))
    assert read.unknown_labels == {"version"}
