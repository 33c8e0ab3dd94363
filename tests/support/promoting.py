# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds to promote: images in a candidate registry, made without building, and a site that promotes them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import Candidates, DistributionSite, Importer, Mirroring, Target
from fedpkg_container.registry.config_keys import KEYS
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, OCI_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.mirror.options import Options, Summary
from fedpkg_container.registry.mirror.run import mirror
from fedpkg_container.registry.probing.availability import Availability
from fedpkg_container.registry.probing.prober import open_prober
from fedpkg_container.registry.promotion.promote import BuildCandidate, PromoteOptions, promote
from fedpkg_container.registry.promotion.publish import publish
from fedpkg_container.registry.promotion.result import PromotionResult
from fedpkg_container.registry.promotion.stage import BuildStaging
from fedpkg_container.registry.promotion.tagging import TagRules
from fedpkg_container.registry.promotion.unpromote import unpromote
from fedpkg_container.registry.redirects.settings import Address
from fedpkg_container.registry.referrers import Artifact, attach, fallback_tag
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Access, Registry
from fedpkg_container.settings import defaults
from tests.support.storage import stored

KOJI_TAG = "f42-container-updates"
SBOM, SIGNATURE = "application/spdx+json", "application/vnd.example.signature"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def make_site(
    directory: Path, candidate: str, stable: str, *, access: Access, prefix: str = "stable", parallel: int = 4,
    floating: Sequence[str] = ("version", "latest"), record: bool = True,
) -> DistributionSite:  # fmt: skip
    """A site with the targets stable and testing in one registry."""
    access = replace(access, retry_timeout=0.0)
    stable_target = Target("stable", stable, access, prefix, ("*-container-updates",), tuple(floating))
    testing = Target("testing", stable, access, "testing", ("*-testing",), ("version", "testing"))
    return DistributionSite(
        path=directory / "registry.conf",
        profile="box",
        candidates=Candidates(candidate, access, 30),
        importer=Importer(**defaults(KEYS, "content_generator"), **defaults(KEYS, "engine")),
        targets={"stable": stable_target, "testing": testing},
        journal=directory / "promotions.jsonl" if record else None,
        parallel=parallel,
        mirroring=Mirroring(**defaults(KEYS, "mirror")),
    )


def site_file(site: DistributionSite, *, auth_file: Path | None = None) -> Path:
    """The same site as a file for the command."""
    access = f"certificates = {site.candidates.access.certificates}\nretry_timeout = 0\n"
    access += f"auth_file = {auth_file}\n" if auth_file else ""
    text = f"[koji]\nprofile = {site.profile}\n[candidate]\nregistry = {site.candidates.registry}\n{access}"
    text += f"[promotion]\nparallel = {site.parallel}\n" + (f"record = {site.journal}\n" if site.journal else "")
    for target in site.targets.values():
        text += f"[target {target.name}]\nregistry = {target.registry}\nprefix = {target.prefix}\n{access}"
        text += f"koji_tags = {' '.join(target.koji_tags)}\nfloating = {' '.join(target.floating)}\n"
        text += f"sign = {'required' if target.sign else 'optional'}\n"
    signing = site.signing
    values = {"key": signing.key, "public_key": signing.public_key, "password_file": signing.password_file}
    values["accepted_keys"] = " ".join(map(str, signing.accepted_keys))
    lines = "".join(f"{name} = {value}\n" for name, value in values.items() if value)
    text += f"[signing]\n{lines}" if lines else ""
    site.path.write_text(text)
    return site.path


def push_build(
    repository: Repository, nvr: NVR, *, arches: Sequence[str] = ("amd64", "arm64"), layers: int = 2, size: int = 2000,
    labels: dict[str, str] | None = None, shared: Sequence[bytes] = (), artifacts: bool = True,
) -> Candidate:  # fmt: skip
    """Push an image index with an SBOM per architecture and a signature of the index, as recorded by Koji.

    :param layers: of each architecture, random bytes of a size
    :param labels: of the image; None for those of the build
    :param shared: further layers, the first ones
    :param artifacts: whether there are SBOMs and a signature
    """
    repository = stored(repository)
    if labels is None:
        labels = {"com.redhat.component": nvr.name, "version": nvr.version, "release": nvr.release}
    members = []
    for arch in arches:
        contents = [*shared, *(os.urandom(size) for _ in range(layers))]
        config = json.dumps({"architecture": arch, "os": "linux", "config": {"Labels": labels}}).encode()
        image = Manifest.of(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": repository.push_described(config, CONFIG_TYPE),
                "layers": [repository.push_described(each, LAYER_TYPE) for each in contents],
            }
        )
        repository.put_manifest(image.digest, image)
        members.append({**image.descriptor, "platform": {"os": "linux", "architecture": arch}})
    index = Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": members})
    repository.put_manifest(index.digest, index)
    if artifacts:
        for member in members:
            attach(repository, member["digest"], Artifact(SBOM, "x.spdx.json", member["digest"].encode(), "2026-01-02"))
        signature = attach(repository, index.digest, Artifact(SIGNATURE, "x.sig", b"signed", "2026-01-02"))
        attach(repository, signature, Artifact(SIGNATURE, "x.sig.sig", b"of a signature", "2026-01-02"))
    return Candidate(nvr, repository.reference.at(index.digest), (KOJI_TAG,))


def cosign(repository: Repository, digest: str, *signatures: bytes, ending: str = "sig") -> str:
    """Store signatures of an image as cosign does; return the tag."""
    repository = stored(repository)
    made = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": repository.push_described(b"{}", "application/vnd.oci.image.config.v1+json"),
            "layers": [
                repository.push_described(each, "application/vnd.dev.cosign.simplesigning.v1+json")
                for each in signatures
            ],
        }
    )
    tag = f"{fallback_tag(digest)}.{ending}"
    repository.put_manifest(tag, made)
    return tag


@dataclass
class Bench:
    """A site under test, with its registries; ``directory`` is the output directory."""

    directory: Path
    site: DistributionSite

    def build(self, nvr: str = "hello-1.0-1", repository: str = "hello", **more: object) -> Candidate:
        """Push a build to the candidate registry."""
        name, version, release = nvr.rsplit("-", 2)
        with self.http(self.site.candidates.registry) as http:
            return push_build(Repository(http, repository), NVR(name, version, release), **more)  # type: ignore[arg-type]

    def http(self, host: str) -> RegistryHTTP:
        """A registry of the site."""
        return Registry(self.site.candidates.access).http(host)

    def promote(
        self,
        *builds: BuildCandidate,
        to: str = "stable",
        rules: TagRules = TagRules(),  # noqa: B008
        **options: bool,
    ) -> list[PromotionResult]:
        """Promote, as the command does."""
        return promote(self.site, self.site.target(to), builds, PromoteOptions(rules, **options))

    def stage(self, *builds: BuildCandidate, dry_run: bool = False, sign: bool = False) -> list[PromotionResult]:
        """Stage, as the command does."""
        options = PromoteOptions(dry_run=dry_run, sign=sign)
        return promote(self.site, self.site.target("stable"), builds, options, steps=BuildStaging)

    def publish(
        self, *builds: BuildCandidate, tree: Path | None, mirrors: Sequence[str] = (), wait: float = 0.0,
        dry_run: bool = False, on_wait: Callable[[Sequence[PromotionResult]], None] = lambda _: None,
    ) -> list[PromotionResult]:  # fmt: skip
        """Publish staged builds, as the command does."""
        options = PromoteOptions(dry_run=dry_run)
        with open_prober([Address.parse(mirror) for mirror in mirrors], 4) as prober:
            availability = Availability(tree, prober)
            target = self.site.target("stable")
            return publish(self.site, target, builds, options, availability, wait=wait, on_wait=on_wait)

    def mirror(self, tree: Path, **options: Any) -> Summary:
        """Export the blobs of the target's tags."""
        target = self.site.target("stable")
        return mirror(target.registry, target.access, Options(tree, journal=self.site.journal, **options))

    def unpromote(
        self, *nvrs: str, to: str = "stable", delete: bool = False, dry_run: bool = False
    ) -> list[PromotionResult]:
        """Revert, as the command does."""
        return unpromote(self.site, self.site.target(to), nvrs, delete=delete, dry_run=dry_run)

    def place(self, candidate: Candidate, to: str = "stable") -> ImageReference:
        """The destination of a build."""
        return self.site.target(to).repository(candidate.image.repository)

    def tags(self, candidate: Candidate, to: str = "stable") -> dict[str, str]:
        """Return tags of a build's repository in a target → digests, without those of referrers."""
        return {tag: head for tag, head in self.all_tags(candidate, to).items() if not tag.startswith("sha256-")}

    def all_tags(self, candidate: Candidate, to: str = "stable") -> dict[str, str]:
        """The same with those of referrers."""
        place = self.place(candidate, to)
        with self.http(place.registry) as http:
            repository = Repository(http, place.repository)
            return {tag: repository.head(tag) for tag in repository.tags()}

    def contents(self, place: ImageReference, digest: str) -> dict[str, bytes]:
        """Return all content of an image, read and hashed: manifests, blobs and referrers of it and its architectures.

        Fails if any is missing.
        """
        from fedpkg_container.registry.referrers import referrers

        found: dict[str, bytes] = {}
        with self.http(place.registry) as http:
            repository = Repository(http, place.repository)
            wanted = [digest]
            while wanted:
                manifest = repository.manifest(wanted.pop())
                found[manifest.digest] = manifest.raw
                found.update({blob.digest: repository.blob(blob) for blob in manifest.blobs})
                following = [*manifest.manifests, *referrers(repository, manifest.digest)]
                wanted += [each.digest for each in following if each.digest not in found]
        assert all(digest_of(content) == digest for digest, content in found.items())
        return found

    def assert_promoted(self, candidate: Candidate, to: str = "stable") -> None:
        """Assert that all content of a build is in a target, byte for byte."""
        place = self.place(candidate, to)
        there = self.contents(place, candidate.image.digest)
        assert there == self.contents(candidate.image, candidate.image.digest)


def accesses(log: Path) -> list[tuple[str, str, int]]:
    """Requests in docker-registry's log: method, path with query, status."""
    lines = re.findall(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d+)', log.read_text())
    return [(method, path, int(status)) for method, path, status in lines]


def descriptor(content: bytes) -> Descriptor:
    """Return a layer's descriptor for a manifest."""
    return Descriptor.of({"mediaType": LAYER_TYPE, "digest": digest_of(content), "size": len(content)})
