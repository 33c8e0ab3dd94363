# SPDX-License-Identifier: GPL-2.0-or-later
"""What a dry run reads from registries and web servers: the images in FROM, and .repo files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedpkg_container.commands.dry_run import check_content
from fedpkg_container.commands.parents import check_parents
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.model.build import BuildRequest, Preflight
from fedpkg_container.model.findings import Finding
from fedpkg_container.model.options import BuildOptions
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, Manifest
from fedpkg_container.registry.repository import Repository
from tests.support import web
from tests.support.memory_registry import Fault
from tests.support.pushing import blob, tagged
from tests.support.registries import access
from tests.support.registry_clients import Serve

pytestmark = pytest.mark.programs


def _push(repository: Repository, tag: str, architecture: str) -> Manifest:
    config = json.dumps({"architecture": architecture, "os": "linux", "config": {}}).encode()
    content = blob(repository, config, "application/vnd.docker.container.image.v1+json")
    manifest = Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST, "config": content, "layers": []})
    tagged(repository, manifest, tag)
    return manifest


def _index(repository: Repository, *architectures: str) -> None:
    members = [
        {**_push(repository, name, name).descriptor, "platform": {"architecture": name, "os": "linux"}}
        for name in architectures
    ]
    tagged(repository, Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": members}), "index")


def _found(serve: Serve, tmp_path: Path, text: str, *, replaced: bool = False, fault: int = 0) -> list[Finding]:
    """Check a Dockerfile for two architectures; IMAGE is the repository."""
    server, repository = serve()
    _index(repository, "amd64", "s390x")
    _push(repository, "one", "amd64")
    if fault:
        server.faults["GET .*manifests/.*"] = [Fault(fault)] * 50
    dockerfile = Dockerfile(text.replace("IMAGE", str(repository.reference)))
    reached = access(tmp_path, server.address, password="registry secret")
    return check_parents(dockerfile, ["x86_64", "s390x"], replaced=replaced, access=reached)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM IMAGE:index\n", []),
        ("FROM scratch\n", []),
        ("FROM IMAGE:one\n", [("parent-arch", "error", 1)]),
        ("# x\nFROM IMAGE:nosuch AS a\nFROM IMAGE:index\n", [("parent-missing", "error", 2)]),
        ("ARG TARGETARCH\nFROM IMAGE:$TARGETARCH\n", []),
    ],
)
def test_images_in_from(serve: Serve, tmp_path: Path, text: str, expected: list[tuple[str, str, int]]) -> None:
    assert [(each.code, each.severity, each.line) for each in _found(serve, tmp_path, text)] == expected


def test_the_missing_architecture_is_named(serve: Serve, tmp_path: Path) -> None:
    (finding,) = _found(serve, tmp_path, "FROM IMAGE:one\n")
    assert finding.message.endswith(":one: there is no image for s390x")


def test_a_replaced_base_image_is_not_checked(serve: Serve, tmp_path: Path) -> None:
    text = "FROM IMAGE:one AS a\nFROM IMAGE:nosuch\n"
    assert [each.code for each in _found(serve, tmp_path, text, replaced=True)] == ["parent-arch"]


def test_a_registry_that_refuses_is_a_note(serve: Serve, tmp_path: Path) -> None:
    (finding,) = _found(serve, tmp_path, "FROM IMAGE:index\n", fault=500)
    assert (finding.code, finding.severity) == ("parent-missing", "note")


def _request(options: BuildOptions) -> BuildRequest:
    return BuildRequest("git+https://h/container/hello#1", "rawhide", {"git_branch": "rawhide", **options})


@pytest.mark.parametrize(
    ("name", "severity"), [("good.repo", ""), ("nosuch.repo", "error"), ("bad.repo", "error"), (None, "warning")]
)
def test_repo_files(tmp_path: Path, name: str | None, severity: str) -> None:
    (tmp_path / "good.repo").write_text("[mine]\nbaseurl=https://example.org/\n")
    (tmp_path / "bad.repo").write_text("<html>")
    with web.serve(tmp_path) as server:
        url = f"{server}/{name}" if name else "http://127.0.0.1:1/x.repo"
        findings = list(check_content(_request({"yum_repourls": [url]}), None, Preflight([])))
    assert [each.severity for each in findings if each.code == "repo-file"] == ([severity] if severity else [])
