# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures for pruning tests: a candidate registry, a target, builds in them, and a Koji with given records."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.model.reference import UniqueTag
from fedpkg_container.registry.config import Candidates, DistributionSite, Importer, Mirroring, Target
from fedpkg_container.registry.config_keys import KEYS
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.pruning.pruner import PruneOptions, Pruner
from fedpkg_container.registry.pruning.report import Report
from fedpkg_container.registry.pruning.retention import DAY
from fedpkg_container.registry.referrers import Artifact, attach, fallback_tag, referrers
from fedpkg_container.registry.repository import Repository
from fedpkg_container.settings import defaults
from tests.support.pushing import image, listing
from tests.support.records import ToldRecords
from tests.support.registries import access
from tests.support.step_log import after_steps
from tests.support.storage import stored

SBOM = Artifact("application/spdx+json", "x.spdx.json", b"{}", "2026-01-02T03:04:05Z")
SIGNATURE = Artifact("application/vnd.example.signature", "x.sig", b"signed", "2026-01-02T03:04:05Z")
DELETE = PruneOptions(keep=30, deletes=True)


class KilledError(Exception):
    """The prune was killed."""


@dataclass
class Scene:
    """A candidate registry, and its promotion target."""

    directory: Path
    site: DistributionSite
    http: RegistryHTTP
    stable: RegistryHTTP
    records: ToldRecords = field(default_factory=ToldRecords)

    def __getitem__(self, name: str) -> Repository:
        return Repository(self.http, name)

    def prune(self, wanted: PruneOptions = DELETE, after: Callable[[str], None] = lambda _: None) -> Report:
        """Prune; call ``after`` with the name of each step."""
        with after_steps(after):
            return Pruner(self.site, self.records, wanted).run()

    def held(self, name: str = "hello") -> dict[str, str]:
        """Tag → digest."""
        return {tag: self[name].head(tag) for tag in self[name].tags()}


def site_of(directory: Path, candidate: str, *targets: Target) -> DistributionSite:
    return DistributionSite(
        path=directory / "registry.conf",
        profile="koji",
        candidates=Candidates(candidate, access(directory), 30),
        importer=Importer(**defaults(KEYS, "content_generator"), **defaults(KEYS, "engine")),
        targets={each.name: each for each in targets},
        journal=None,
        parallel=4,
        mirroring=Mirroring(**defaults(KEYS, "mirror")),
    )


def stamp(days: float, number: int = 7, kind: str = "scratch") -> str:
    return str(UniqueTag(number, time.time() - days * DAY, kind))


def build(repository: Repository, name: str, *tags: str) -> tuple[Manifest, list[Manifest]]:
    """Push an index of two images with SBOMs, one signed; return it and its members."""
    repository = stored(repository)
    members = [image(repository, f"{name} for {arch}", arch=arch) for arch in ("amd64", "arm64")]
    made = listing(repository, *members, tags=tags)
    for each in members:
        bom = attach(repository, each.digest, SBOM)
    attach(repository, bom, SIGNATURE)
    return made, members


def is_whole(repository: Repository, made: Manifest, members: list[Manifest]) -> bool:
    present = all(repository.head(each.digest) for each in (made, *members))
    return present and all(referrers(repository, each.digest) for each in members)


def is_gone(repository: Repository, made: Manifest, members: list[Manifest]) -> bool:
    boms = [fallback_tag(each.digest) for each in members]
    return not any(repository.head(each) for each in (made.digest, *(each.digest for each in members), *boms))
