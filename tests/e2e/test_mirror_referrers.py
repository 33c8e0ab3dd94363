# SPDX-License-Identifier: GPL-2.0-or-later
"""Mirror of referrers from registries with the referrers API; a single failure does not remove them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fedpkg_container.registry import retry
from fedpkg_container.registry.manifests import OCI_MANIFEST, Manifest
from fedpkg_container.registry.mirror.options import DAY
from fedpkg_container.registry.referrers import Artifact, attach
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import MemoryRegistry, memory_registry
from tests.support.mirrored import Clock, Mirrored
from tests.support.registries import access

CONFIG = "application/vnd.oci.image.config.v1+json"
#: Any repository's referrers.
REFERRERS = "GET /v2/.*/referrers/"


@dataclass
class Listing:
    """A registry in memory that lists referrers, and its mirror."""

    registry: MemoryRegistry
    mirrored: Mirrored

    def image(self, name: str, tag: str = "1-1") -> None:
        """Push an image with an SBOM."""
        with self.mirrored.http() as http:
            repository = Repository(http, name)
            config = json.dumps({"architecture": "amd64", "os": "linux", "of": [name, tag]}).encode()
            described = {"mediaType": CONFIG, "digest": repository.push(config), "size": len(config)}
            content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": []}
            image = Manifest.of(content)
            repository.put_manifest(tag, image)
            attach(repository, image.digest, Artifact("application/spdx+json", "x", f"SBOM {tag}".encode(), ""))

    def lacks(self, pattern: str = REFERRERS, answers: int = 1000) -> None:
        """Have requests answered as by a registry without the interface."""
        self.registry.faults[pattern] = [404] * answers

    def asked(self) -> int:
        """The number of requests for referrers since the last call."""
        count = self.registry.asked(REFERRERS)
        self.registry.seen.clear()
        return count

    def sboms(self) -> set[str]:
        """The SBOMs in the tree, as ``repository tag``."""
        blobs = [path for path in self.mirrored.tree.rglob("sha256:*") if path.read_bytes().startswith(b"SBOM ")]
        return {f"{path.parent.parent.name} {path.read_text()[5:]}" for path in blobs}


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Listing]:
    with memory_registry(tmp_path, token=False) as registry:
        yield Listing(registry, Mirrored(tmp_path, registry.address, access(tmp_path)))


@pytest.mark.parametrize("odd", ["a", "c"])
def test_repository_without_api_does_not_affect_others(it: Listing, odd: str) -> None:
    for name in "abcd":
        it.image(name)
        it.image(name, "2-1")
    assert it.mirrored.run(parallel=2).errors == []
    everything = it.sboms()
    assert len(everything) == 8
    it.lacks(f"GET /v2/{odd}/referrers/")
    for _ in range(2):
        summary = it.mirrored.run(full=True, grace=0)
        assert (summary.errors, summary.deleted, it.sboms()) == ([], 0, everything)
    it.registry.faults.clear()
    it.image(odd, "3-1")
    assert it.mirrored.run(full=True).errors == []
    assert it.sboms() == everything | {f"{odd} 3-1"}


def test_registry_that_lost_the_api_removes_nothing(it: Listing) -> None:
    for name in "abcd":
        it.image(name)
    it.mirrored.run()
    it.lacks()
    for options in ({"full": True}, {}, {"full": True}):
        summary = it.mirrored.run(grace=0, **options)
        assert (summary.errors, summary.deleted, len(it.sboms())) == ([], 0, 4)


@pytest.mark.parametrize("odd", [("r00",), ("r00", "r01", "r02", "r11")])
def test_some_repositories_without_api(it: Listing, odd: tuple[str, ...]) -> None:
    names = {f"r{number:02}" for number in range(12)}
    for name in names:
        it.image(name)
    it.lacks(f"GET /v2/({'|'.join(odd)})/referrers/")
    for _ in range(2):
        assert it.mirrored.run(full=True).errors == []
        assert it.sboms() == {f"{name} 1-1" for name in names.difference(odd)}


def test_registry_without_api_costs_one_request_per_day(it: Listing) -> None:
    clock = Clock()
    for name in "abc":
        for number in range(5):
            it.image(name, f"{number}-1")
    it.lacks()
    assert it.mirrored.run(now=clock).errors == []
    assert it.asked() == 3  # one for each repository, once
    it.image("a", "5-1")
    assert it.mirrored.run(now=clock).errors == []
    assert it.asked() == 0
    places: set[str] = set()
    for _ in range(3):
        clock.passes(DAY)
        it.mirrored.run(now=clock)
        places.update(path.split("/")[2] for _, path, _ in it.registry.seen if "/referrers/" in path)
        assert it.asked() == 1
    assert places == set("abc")
    it.image("new")
    it.mirrored.run(now=clock)
    assert it.asked() == 1
    it.registry.faults.clear()  # it knows the interface now
    it.mirrored.run(now=clock)
    assert (it.asked(), it.sboms()) == (0, set())
    clock.passes(DAY)
    it.mirrored.run(now=clock)
    assert len(it.sboms()) == 3 * 5 + 1 + 1


def test_interrupted_queries_are_repeated(it: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "INITIAL_BACKOFF", 0.01)
    for name in "abcd":
        it.image(name)
    it.mirrored.run()
    it.registry.faults["GET /v2/b/referrers/"] = [500] * 100
    summary = it.mirrored.run(full=True, grace=0)
    assert [error[:3] for error in summary.errors] == ["b: "]
    it.lacks()
    summary = it.mirrored.run(grace=0)
    assert (summary.errors, summary.deleted, len(it.sboms())) == ([], 0, 4)
