# SPDX-License-Identifier: GPL-2.0-or-later
"""Copying an image to a target: its index, all architectures and their referrers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fedpkg_container.errors import (
    NoSuchImageError,
    RegistryError,
    UnexpectedResponseError,
)
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry import referrers
from fedpkg_container.registry.manifests import INDEX_MEDIA_TYPES, MAX_INDEX_DEPTH, MAX_MANIFESTS, Descriptor, Manifest
from fedpkg_container.registry.promotion.blob_copying import BlobCopier, BlobCounts, manifest_exists
from fedpkg_container.registry.promotion.tagging import SignatureTags, put_signatures, should_copy_signatures
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.workers import WorkerPool

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageContent:
    """An image of the source with everything that belongs to it.

    :param manifest: of the image or image index
    :param digests: of all manifests, each after those that it refers to; artifacts after their subjects
    :param missing: manifests that the target lacks, in the same order
    :param artifacts: digest → its referrers
    :param signatures: cosign's tags for the image
    :param new_signatures: those that are to be copied, with their manifests
    """

    manifest: Manifest
    digests: tuple[str, ...]
    missing: tuple[Manifest, ...]
    artifacts: Mapping[str, tuple[Descriptor, ...]]
    signatures: tuple[str, ...] = ()
    new_signatures: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def blobs(self) -> list[Descriptor]:
        """Distinct blobs of the missing manifests, without foreign layers."""
        manifests = (*self.missing, *self.new_signatures.values())
        unique = {blob.digest: blob for manifest in manifests for blob in manifest.blobs if not blob.is_foreign}
        return list(unique.values())

    @property
    def images(self) -> list[str]:
        """Digests of the image index and of all images, without artifacts."""
        return [digest for digest in self.digests if digest not in self.artifact_digests]

    @property
    def artifact_digests(self) -> set[str]:
        """Digests of SBOMs, signatures and other artifacts that refer to something."""
        return {artifact.digest for artifacts in self.artifacts.values() for artifact in artifacts}

    @property
    def artifact_count(self) -> int:
        """Number of SBOMs, signatures and other artifacts."""
        return len(self.artifact_digests) + len(self.signatures)


@dataclass(frozen=True)
class ImageCopier:
    """Copies images from one repository to another.

    :param requests: worker pool for requests
    :param mount_sources: other repositories of the target's registry that may have blobs of the image
    :param signatures: finds cosign's tags in the source
    :param partial: inspect an image without copying it; missing manifests are ignored
    :param warnings: what could not be copied although it does not affect the image; extended
    :param rejected: digests of such manifests; extended
    """

    source: Repository
    target: Repository
    blobs: BlobCopier
    requests: WorkerPool
    deadline: Deadline
    mount_sources: tuple[str, ...] = ()
    signatures: SignatureTags = field(default_factory=SignatureTags)
    partial: bool = False
    warnings: list[str] = field(default_factory=list)
    rejected: set[str] = field(default_factory=set)

    def inspect(self, digest: str) -> ImageContent:
        """Return what belongs to an image, and what of it the target lacks; changes nothing.

        :raises RegistryError: if the image does not exist, or is invalid
        """
        manifest = self.source.manifest(digest)
        indexes = {manifest.digest: manifest}
        digests: dict[str, None] = {}
        artifacts: dict[str, tuple[Descriptor, ...]] = {}
        pending = [Descriptor.of(manifest.descriptor)]
        for _ in range(referrers.MAX_DEPTH + 1):
            count = len(digests)
            for root in pending:
                self._collect_digests(root, indexes, digests)
            subjects = list(digests)[count:]
            results = self.requests.map(
                lambda subject: referrers.list_referrers(self.source, subject).artifacts, subjects
            )
            artifacts.update({subject: result for subject, result in zip(subjects, results) if result})
            pending = [artifact for result in results for artifact in result if artifact.digest not in digests]
            if not pending:
                break
        else:
            raise RegistryError(f"{self.source.reference}@{digest}: artifacts are nested too deeply")
        existence = self.requests.map(lambda item: manifest_exists(self.target, item), digests)
        wanted = [item for item, exists in zip(digests, existence) if not exists]
        missing = self._read_manifests(wanted, indexes, artifacts)
        unreadable = set(wanted) - missing.keys()
        existing_artifacts = {
            subject: tuple(artifact for artifact in result if artifact.digest not in unreadable)
            for subject, result in artifacts.items()
        }
        signatures, new_signatures = self._signatures(digests)
        return ImageContent(
            manifest, tuple(digests), tuple(missing.values()), existing_artifacts, signatures, new_signatures
        )

    def copy_missing(self, content: ImageContent, counts: BlobCounts) -> None:
        """Copy what is missing.

        :raises RegistryError: if something cannot be copied
        """

        def copy(blob: Descriptor) -> None:
            method = self.blobs.copy(
                blob, self.source, self.target, mount_sources=self.mount_sources, deadline=self.deadline
            )
            counts.add(method, blob.size)

        self.requests.map(copy, content.blobs)
        artifact_digests = content.artifact_digests
        images = [manifest for manifest in content.missing if manifest.digest not in artifact_digests]
        self.requests.map(self._put, [manifest for manifest in images if not manifest.is_index])
        for manifest in images:
            if manifest.is_index:  # after its members
                self._put(manifest)
        pushed = [manifest for manifest in content.missing if manifest.digest in artifact_digests]
        results = self.requests.map(self._put_artifact, pushed)
        registered = {manifest.digest for manifest, is_listed in zip(pushed, results) if is_listed}
        for subject, artifacts in content.artifacts.items():
            self._register(subject, [artifact for artifact in artifacts if artifact.digest not in registered])
        for tag, manifest in content.new_signatures.items():
            self._put_signatures(tag, manifest)

    def predict(self, content: ImageContent, counts: BlobCounts) -> None:
        """Count what ``copy_missing`` would do."""
        methods = self.requests.map(lambda blob: self.blobs.predict(blob, self.source, self.target), content.blobs)
        for blob, method in zip(content.blobs, methods):
            counts.add(method, blob.size)

    def _signatures(self, digests: Iterable[str]) -> tuple[tuple[str, ...], Mapping[str, Manifest]]:
        """Return cosign's tags, and the manifests of those that are to be copied."""
        tags = self.signatures.of(self.source, digests) if not self.partial else []
        manifests = dict(zip(tags, self.requests.map(self.source.manifest, tags)))
        wanted = self.requests.map(lambda tag: should_copy_signatures(tag, manifests[tag], self.target), tags)
        return tuple(tags), {tag: manifests[tag] for tag, is_wanted in zip(tags, wanted) if is_wanted}

    def _put(self, manifest: Manifest) -> str:
        """Store a manifest; return its digest if the registry has registered its subject, else an empty string."""
        self.deadline.check()
        response = self.target.put_manifest(manifest.digest, manifest)
        return manifest.digest if response.headers.get("OCI-Subject") else ""

    def _put_artifact(self, manifest: Manifest) -> bool:
        """Store the manifest of an artifact; return whether it need not be added to the list of referrers.

        An artifact that the registry rejects cannot be listed at all.
        """
        with self._optional(f"the artifact {manifest.digest}"):
            return bool(self._put(manifest))
        self.rejected.add(manifest.digest)
        return True

    def _put_signatures(self, tag: str, manifest: Manifest) -> None:
        with self._optional(f"cosign's manifest {tag}"):
            put_signatures(tag, manifest, self.target)
            return
        self.rejected.add(manifest.digest)

    def _register(self, subject: str, artifacts: Sequence[Descriptor]) -> None:
        """Let the target list the artifacts of an image that it does not list itself."""
        if not artifacts:
            return
        with self._optional(f"the list of referrers of {subject}"):
            if not referrers.register(self.target, subject, [artifact.fields for artifact in artifacts]):
                self.warnings.append(
                    f"{self.target.http.host} cannot list the referrers of {subject}: it has neither the referrers API,"
                    f" nor can the tag {referrers.fallback_tag(subject)} be used; {len(artifacts)} were copied"
                )

    @contextlib.contextmanager
    def _optional(self, what: str) -> Iterator[None]:
        """Turn the rejection of something that does not affect the image into a warning."""
        try:
            yield
        except UnexpectedResponseError as error:
            self.warnings.append(
                f"{self.target.http.host} rejected {what}, which is not copied: {error.reason}; allow its media type in"
                " the registry"
            )
            _log.warning("%s", self.warnings[-1])

    def _collect_digests(
        self, root: Descriptor, indexes: dict[str, Manifest], digests: dict[str, None], depth: int = 0
    ) -> None:
        """Add the digests of all members of a manifest, and then its own.

        :param indexes: manifests of indexes read so far; updated
        :param digests: digests added so far; updated
        """
        if root.digest in digests:
            return
        if root.media_type in INDEX_MEDIA_TYPES or root.digest in indexes:
            if depth > MAX_INDEX_DEPTH:
                raise RegistryError(f"{self.source.reference}: image indexes are nested too deeply")
            for member in self._members(root.digest, indexes):
                if not member.is_manifest:
                    raise RegistryError(
                        f"{self.source.reference}@{root.digest} lists a non-image: {member.media_type[:100]!r}"
                    )
                self._collect_digests(member, indexes, digests, depth + 1)
        digests[root.digest] = None
        if len(digests) > MAX_MANIFESTS:
            raise RegistryError(f"an image of {self.source.reference} has more than {MAX_MANIFESTS} manifests")

    def _members(self, digest: str, indexes: dict[str, Manifest]) -> Sequence[Descriptor]:
        """Return the members of an index."""
        if digest not in indexes:
            try:
                indexes[digest] = self.source.manifest(digest)
            except NoSuchImageError:
                if not self.partial:
                    raise
                return ()
        return indexes[digest].manifests

    def _read_manifests(
        self, digests: Sequence[str], indexes: Mapping[str, Manifest], artifacts: Mapping[str, Sequence[Descriptor]]
    ) -> dict[str, Manifest]:
        """Return manifests by digest; artifacts that are listed but do not exist are left out."""
        artifact_digests = {artifact.digest for result in artifacts.values() for artifact in result}

        def read(digest: str) -> Manifest | None:
            try:
                return indexes.get(digest) or self.source.manifest(digest)
            except NoSuchImageError:
                if digest not in artifact_digests and not self.partial:
                    raise
                _log.warning("%s@%s is listed but does not exist", self.source.reference, digest)
                return None

        return {manifest.digest: manifest for manifest in self.requests.map(read, digests) if manifest}
