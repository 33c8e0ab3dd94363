# SPDX-License-Identifier: GPL-2.0-or-later
"""Sites whose registries have profiles, with all servers in the process of the test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fedpkg_container.box.pki import Authority
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.nvr import NVR
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.referrers import fallback_tag
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support.profiled_registry import ProfiledRegistry, profiled_registry
from tests.support.promoting import Bench, make_site, push_build
from tests.support.registries import access
from tests.support.registry_profiles import DOCKER_REGISTRY_2, PROFILES, Profile

#: Image in the target: the candidate's name below the prefix.
NAME = "stable/hello"
#: Retry timeout of the client, seconds: longer than a registry shows changes late.
RETRY_TIMEOUT = 2.0


@dataclass
class Hub:
    """A site whose target, or candidate registry, has a profile.

    :param server: the target
    :param reached: access to it
    :param candidates: the candidate registry
    """

    bench: Bench
    profile: Profile
    server: ProfiledRegistry
    reached: Access
    candidates: ProfiledRegistry

    def tags(self) -> dict[str, str]:
        """Return the tags of the image in the target → digests, without those of referrers."""
        held = self.server[NAME]
        return {tag: digest_of(held.manifests[tag]) for tag in held.tags if not tag.startswith("sha256-")}

    def pushed(self, candidate: Candidate) -> dict[str, bytes]:
        """Return all content of a candidate, without requests: manifests, blobs and referrers, by digest."""
        held, found, wanted = self.candidates[candidate.image.repository], dict[str, bytes](), [candidate.image.digest]
        while wanted:
            manifest = Manifest.read(held.manifests[wanted.pop()])
            found[manifest.digest] = manifest.raw
            found.update({blob.digest: held.blobs[blob.digest] for blob in manifest.blobs})
            listed = held.manifests.get(fallback_tag(manifest.digest))
            for each in (manifest, *([Manifest.read(listed)] if listed else [])):
                wanted += [member.digest for member in each.manifests]
        return found

    def stored(self) -> str:
        """Store an image with SBOMs and signatures in the target without promoting it; return its digest."""
        with Registry(self.reached).http(self.server.address) as http:
            candidate = push_build(Repository(http, NAME), NVR("hello", "1.0", "1"))
        held = self.server[NAME]
        for tag in ("1.0-1", "1.0", "latest"):
            held.manifests[tag] = held.manifests[candidate.image.digest]
        return candidate.image.digest


@dataclass
class Hubs:
    """Makes such sites; they share the candidate registry, certificates, and their client's access.

    :param trusted: one, because certificates are loaded again if their file changes
    """

    certificate: Path
    trusted: Access
    candidates: ProfiledRegistry

    @contextlib.contextmanager
    def make(self, directory: Path, name: str, **changes: object) -> Iterator[Hub]:
        """Run a site.

        :param directory: of its files
        :param name: of the target's profile; ``changes`` to it
        """
        profile = replace(PROFILES[name], **changes)  # type: ignore[arg-type]
        with profiled_registry(self.certificate, profile) as server:
            timeout = RETRY_TIMEOUT if profile.late else 0.0
            reached = replace(self.trusted, retry_timeout=timeout, attempts=3)
            site = make_site(directory, self.candidates.address, server.address, access=reached)
            targets = {key: replace(target, access=reached) for key, target in site.targets.items()}
            yield Hub(Bench(directory, replace(site, targets=targets)), profile, server, reached, self.candidates)


@contextlib.contextmanager
def hubs(directory: Path) -> Iterator[Hubs]:
    """Run the candidate registry.

    :param directory: of certificates
    """
    certificate = Authority(directory / "pki").issue("registry", server=True)
    with profiled_registry(certificate, replace(DOCKER_REGISTRY_2, rejects=())) as candidates:
        yield Hubs(certificate, access(directory), candidates)
