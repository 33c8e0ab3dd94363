# SPDX-License-Identifier: GPL-2.0-or-later
"""Garbage collection of a real docker-registry between promote --stage and promote --publish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.box.registry import program
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.process import run
from fedpkg_container.registry.repository import Repository
from tests.support.promoting import Bench, make_site
from tests.support.registries import access, docker_registry
from tests.support.waiting import PATIENCE


def collect(directory: Path, host: str, *options: str) -> None:
    """Collect the garbage of a stopped registry."""
    configuration = directory / f"registry-{host.rpartition(':')[2]}.yml"
    run([program(), "garbage-collect", *options, configuration], timeout=PATIENCE)


def single_image(bench: Bench) -> Candidate:
    """A build that is one image, without index."""
    candidate = bench.build("single-1-1", "single", arches=("amd64",))
    with bench.http(candidate.image.registry) as http:
        member = Repository(http, "single").manifest(candidate.image.digest).manifests[0].digest
    return replace(candidate, image=replace(candidate.image, digest=member))


@pytest.mark.parametrize("options", [pytest.param((), marks=pytest.mark.slow), ("--delete-untagged",)])
def test_staged_build_survives_garbage_collection(options: tuple[str, ...], directory: Path, tmp_path: Path) -> None:
    """With --delete-untagged version 2.8 deletes members of image indexes, and SBOMs; staging again restores them."""
    with docker_registry(directory) as candidates, docker_registry(directory) as stable:
        bench = Bench(tmp_path, make_site(tmp_path, candidates, stable, access=access(directory)))
        index, single = bench.build("hello-1-1", "hello"), single_image(bench)
        assert [result.state for result in bench.stage(index, single)] == ["staged", "staged"]
    collect(directory, stable, *options)
    tree, ports = tmp_path / "tree", [int(host.rpartition(":")[2]) for host in (candidates, stable)]
    with docker_registry(directory, port=ports[0]), docker_registry(directory, port=ports[1]):
        if options:
            incomplete, without_sbom = bench.publish(index, single, tree=tree)
            assert ("is incomplete" in incomplete.error, without_sbom.state) == (True, "waiting")
            assert "1 SBOM or signature is listed in the target, but missing" in without_sbom.warnings[0]
            assert [result.state for result in bench.stage(index, single)] == ["staged", "staged"]
        for build in (index, single):
            bench.assert_promoted(build)
        assert bench.mirror(tree).errors == []
        assert [result.state for result in bench.publish(index, single, tree=tree)] == ["promoted", "promoted"]
