# SPDX-License-Identifier: GPL-2.0-or-later
"""Detection of what a registry can do, by pushing, reading, mounting, tagging, listing and deleting a test artifact.

The results are not stored: ``promote`` detects what it needs each time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from fedpkg_container.errors import ReadOnlyRegistryError, RegistryError, RegistryUnavailableError
from fedpkg_container.registry import referrers
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import CONFIG, MANIFEST, MANIFEST_LIST, OCI_CONFIG, OCI_MANIFEST, Manifest
from fedpkg_container.registry.pages import repositories
from fedpkg_container.registry.repository import Repository

#: Version of the JSON report; raised when its keys change.
VERSION = 1
#: Repositories of the test artifact, below the target's prefix.
REPOSITORY, MOUNT_REPOSITORY = "check-target", "check-target-mount"
#: Delay after which a registry is reported to show changes late, seconds.
LATE = 1.0
YES, NO = "yes", "no"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_SBOM = "application/spdx+json"


@dataclass(frozen=True)
class Capability:
    """A result.

    :param name: what was tried
    :param result: ``yes``, ``no``, or how
    :param why: the registry's message; may be empty
    :param advice: what to set, or what does not work; empty if there is nothing to do
    :param required: whether images cannot be promoted without it
    """

    name: str
    result: str
    why: str = ""
    advice: str = ""
    required: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether it is required, and not available."""
        return self.required and self.result == NO


@dataclass
class TargetCheck:
    """The check of a registry.

    :param prefix: of repository names, without trailing slash; may be empty
    :param left: references of test artifacts that could not be deleted; filled in
    """

    http: RegistryHTTP
    prefix: str
    left: list[str] = field(default_factory=list)
    _pushed: list[tuple[Repository, str]] = field(default_factory=list)
    _salt: str = field(default_factory=lambda: os.urandom(8).hex())

    def run(self) -> Iterator[Capability]:
        """Yield the results one after the other; after a missing requirement nothing more is tried.

        :raises RegistryError: if the registry cannot be reached or trusted
        """
        self.http.request("GET", "/v2/", expected=(200, 401, 403, 404))
        repository = self._repository(REPOSITORY)
        try:
            for step in (self._push, self._read, self._docker, self._move, self._mount, self._referrers, self._catalog):
                capability = step(repository)
                yield capability
                if capability.is_missing:
                    return
            yield self._delete()
        finally:
            self.left += [str(where.reference.at(digest)) for where, digest in self._pushed]

    def _repository(self, name: str) -> Repository:
        return Repository(self.http, f"{self.prefix}/{name}" if self.prefix else name)

    @property
    def _tag(self) -> str:
        return f"check-{self._salt}"

    def _image(self, repository: Repository, number: int, *, docker: bool = False) -> Manifest:
        """Push the blobs of a test image, and return its manifest."""
        layer = f"{self._salt} {number}".encode().ljust(1024, b"\0")
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers",
                  "diff_ids": [digest_of(layer)]}}  # fmt: skip
        config_type, layer_type = (CONFIG, _DOCKER_LAYER) if docker else (OCI_CONFIG, _OCI_LAYER)
        return Manifest.of(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST if docker else OCI_MANIFEST,
                "config": repository.push_described(json.dumps(config).encode(), config_type),
                "layers": [repository.push_described(layer, layer_type)],
            }
        )

    def _put(self, repository: Repository, name: str, manifest: Manifest) -> None:
        repository.put_manifest(name, manifest)
        if (repository, manifest.digest) not in self._pushed:
            self._pushed.append((repository, manifest.digest))

    def _push(self, repository: Repository) -> Capability:
        def attempt() -> Capability:
            self._put(repository, self._tag, self._image(repository, 1))
            return Capability("push an image", YES, required=True)

        advice = "check the account's permissions; some registries require that repositories exist"
        return _tried("push an image", attempt, advice, required=True)

    def _read(self, repository: Repository) -> Capability:
        began = time.monotonic()
        digest = self._pushed[-1][1]
        if not self.http.wait_until(lambda: repository.head(self._tag) == digest):
            return Capability(
                "read it back",
                NO,
                f"not seen for {self.http.retry_timeout:g} s",
                "increase retry_timeout",
                required=True,
            )
        seconds = time.monotonic() - began
        if seconds < LATE:
            return Capability("read it back", YES, required=True)
        advice = f"retry_timeout must be much longer; it is {self.http.retry_timeout:g} s"
        return Capability("read it back", f"after {seconds:.1f} s", advice=advice, required=True)

    def _docker(self, repository: Repository) -> Capability:
        def attempt() -> Capability:
            image = self._image(repository, 2, docker=True)
            self._put(repository, image.digest, image)
            platform = {"architecture": "amd64", "os": "linux"}
            members = [{**image.descriptor, "platform": platform}]
            index = Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": members})
            self._put(repository, index.digest, index)
            return Capability("images in Docker's format", YES)

        advice = "allow Docker's media types in the registry, or build with the format oci"
        return _tried("images in Docker's format", attempt, advice)

    def _move(self, repository: Repository) -> Capability:
        def attempt() -> Capability:
            image = self._image(repository, 3)
            self._put(repository, self._tag, image)
            if not self.http.wait_until(lambda: repository.head(self._tag) == image.digest):
                raise RegistryError("the tag still refers to the image before")
            return Capability("move a tag", YES)

        return _tried("move a tag", attempt, "set floating = none, or exempt the floating tags in the registry")

    def _mount(self, repository: Repository) -> Capability:
        def attempt() -> Capability:
            blob = repository.manifest(self._pushed[0][1]).blobs[-1]
            if self._repository(MOUNT_REPOSITORY).mount(blob.digest, repository.name):
                return Capability("mount blobs", YES)
            raise RegistryError("the registry does not mount")

        return _tried("mount blobs", attempt, "layers are sent again for each repository")

    def _referrers(self, repository: Repository) -> Capability:
        name, subject = "list SBOMs and signatures", self._pushed[0][1]

        def attempt() -> Capability:
            artifact = referrers.Artifact(_SBOM, "check.spdx.json", self._salt.encode(), "2000-01-01T00:00:00Z")
            digest = referrers.attach(repository, subject, artifact)
            self._pushed.append((repository, digest))
            listed = referrers.list_referrers(repository, subject)
            if digest not in [descriptor.digest for descriptor in listed.artifacts]:
                raise RegistryError("neither the referrers API nor the fallback tag lists them")
            if not listed.by_tag:
                return Capability(name, "referrers API")
            self._pushed.append((repository, repository.head(referrers.fallback_tag(subject))))
            return Capability(name, "fallback tag")

        return _tried(name, attempt, "allow these artifact types in the registry; otherwise clients cannot find them")

    def _catalog(self, _: Repository) -> Capability:
        def attempt() -> Capability:
            count = sum(1 for _ in repositories(self.http))
            return Capability("list repositories", f"{YES} ({count})")

        advice = "list uses the journal; name the repositories in [mirror] without wildcards; prune is not possible"
        return _tried("list repositories", attempt, advice)

    def _delete(self) -> Capability:
        name = "delete images"

        def attempt() -> Capability:
            while self._pushed:  # indexes and artifacts first
                repository, digest = self._pushed[-1]
                repository.delete_manifest(digest)
                self._pushed.pop()
            return Capability(name, YES)

        advice = (
            "unpromote --delete and prune are not possible; delete the test artifact in the registry's own interface"
        )
        return _tried(name, attempt, advice)


def report(target: str, capabilities: list[Capability], left: list[str]) -> dict[str, Any]:
    """Return the JSON report."""
    checks = [asdict(capability) for capability in capabilities]
    return {"version": VERSION, "target": target, "checks": checks, "left": left}


def _tried(name: str, attempt: Callable[[], Capability], advice: str, *, required: bool = False) -> Capability:
    """Return the result of an attempt; a refusal of the registry is a result too.

    :raises RegistryError: if the registry cannot be reached, or is read-only
    """
    try:
        return attempt()
    except ReadOnlyRegistryError:
        raise
    except RegistryError as error:
        if isinstance(error, RegistryUnavailableError) and not error.status:
            raise
        return Capability(name, NO, error.reason, advice, required)
