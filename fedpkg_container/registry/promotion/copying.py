"""Copying an image to a target: its index, all architectures and their referrers; blobs are mounted or streamed."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry import referrers
from fedpkg_container.registry.copy import copy_blob
from fedpkg_container.registry.digests import verify_chunks
from fedpkg_container.registry.manifests import INDEX_MEDIA_TYPES, MAX_INDEX_DEPTH, Descriptor, Manifest
from fedpkg_container.registry.promotion.tagging import SignatureTags, is_wanted
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.workers import WorkerPool

logger = logging.getLogger(__name__)


def has_manifest(repository: Repository, digest: str) -> bool:
    """Return whether a manifest exists and can be read."""
    try:
        return repository.head(digest) == digest
    except RegistryUnavailableError as error:
        logger.warning("%s; treating it as missing", error.reason)
        return False


def has_blob(repository: Repository, digest: str) -> bool:
    """Return whether a blob exists and can be read."""
    try:
        return repository.has_blob(digest)
    except RegistryUnavailableError as error:
        logger.warning("%s; treating it as missing", error.reason)
        return False


@dataclass
class Tally:
    """How the blobs of an image were copied, or would be in a dry run.

    :param bytes_sent: total size of the sent blobs; ``bytes_mounted`` of the mounted ones
    """

    mounted: int = 0
    sent: int = 0
    present: int = 0
    bytes_mounted: int = 0
    bytes_sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, means: str, size: int) -> None:
        """Count a blob as mounted, sent or present."""
        with self._lock:
            setattr(self, means, getattr(self, means) + 1)
            if means != "present":
                setattr(self, f"bytes_{means}", getattr(self, f"bytes_{means}") + size)


def copy_deadline(what: str, seconds: float) -> Deadline:
    """Return the deadline of a copy to a target.

    :param what: subject of the error message
    """
    return Deadline(what, seconds, "increase the timeout of the target, or run it again; sent blobs are not sent again",
                    RegistryError)  # fmt: skip


@dataclass(frozen=True)
class Blobs:
    """Copies blobs; shared by all images, so that a blob sent for one can be mounted for the next.

    :param verify: read and hash each blob of the candidate registry, even if it is mounted
    :param sent: called with the number of bytes read for sending or hashing
    """

    verify: bool = False
    sent: Callable[[int], None] = lambda _: None
    _places: dict[str, str] = field(default_factory=dict)
    _sending: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def bring(
        self, blob: Descriptor, source: Repository, target: Repository, *, nearby: Sequence[str], deadline: Deadline
    ) -> str:
        """Copy a blob to the target's repository; return how: mounted, sent or present.

        :param mount_sources: other repositories of the target's registry that may have it
        :raises RegistryError: if it does not exist, has a different digest, or is rejected
        """
        deadline.check()
        if source.http.host == target.http.host:
            if self.verify:
                self._read(blob, source, deadline)
            if _mount(target, blob, source.name):
                return "mounted"
            nearby = ()
        if has_blob(target, blob.digest):
            return "present"
        with self._sending[blob.digest]:
            if self._places.get(blob.digest) == target.name:  # copied for another image in the meantime
                return "present"
            for place in dict.fromkeys([self._places.get(blob.digest, ""), *nearby]):
                if place and place != target.name and _mount(target, blob, place):
                    return "mounted"
            copy_blob(blob, source, target, wrap_chunks=lambda chunks: self._within(chunks, deadline))
            self._places[blob.digest] = target.name
        return "sent"

    @staticmethod
    def foresee(blob: Descriptor, source: Repository, target: Repository) -> str:
        """Return what ``copy`` would probably do, from one request."""
        if has_blob(target, blob.digest):
            return "present"
        return "mounted" if source.http.host == target.http.host else "sent"

    def _read(self, blob: Descriptor, source: Repository, deadline: Deadline) -> None:
        def once() -> None:
            with source.open_blob(blob.digest) as stream:
                for _ in verify_chunks(self._within(stream.chunks, deadline), blob.digest, blob.size):
                    pass

        source.http.retry(once)

    def _within(self, chunks: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
        for chunk in chunks:
            deadline.check()
            self.sent(len(chunk))
            yield chunk


def _mount(target: Repository, blob: Descriptor, place: str) -> bool:
    """Try to mount a blob; return False if the other repository does not have it or cannot be read."""
    try:
        return target.mount(blob.digest, place)
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return False


#: Maximum number of manifests of an image.
MOST_MANIFESTS = 2000


@dataclass(frozen=True)
class Content:
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
        found = {blob.digest: blob for manifest in manifests for blob in manifest.blobs if not blob.is_foreign}
        return list(found.values())

    @property
    def attached(self) -> int:
        """Number of SBOMs, signatures and other artifacts."""
        return len({each.digest for listed in self.artifacts.values() for each in listed}) + len(self.signatures)


@dataclass(frozen=True)
class Copying:
    """Copies images from one repository to another.

    :param requests: worker pool for requests
    :param mount_sources: other repositories of the target's registry that may have blobs of the image
    :param signatures: finds cosign's tags in the source
    :param partial: inspect an image without copying it; missing manifests are ignored
    """

    source: Repository
    target: Repository
    blobs: Blobs
    requests: WorkerPool
    deadline: Deadline
    nearby: tuple[str, ...] = ()
    signatures: SignatureTags = field(default_factory=SignatureTags)
    partial: bool = False

    def survey(self, digest: str) -> Content:
        """Return what belongs to an image, and what of it the target lacks; changes nothing.

        :raises RegistryError: if the image does not exist, or is invalid
        """
        manifest = self.source.manifest(digest)
        lists = {manifest.digest: manifest}
        digests: dict[str, None] = {}
        artifacts: dict[str, tuple[Descriptor, ...]] = {}
        frontier = [Descriptor.of(manifest.descriptor)]
        for _ in range(referrers.MAX_DEPTH + 1):
            known = len(digests)
            for root in frontier:
                self._add(root, lists, digests)
            subjects = list(digests)[known:]
            found = self.requests.map(lambda each: referrers.list_referrers(self.source, each).artifacts, subjects)
            artifacts.update({subject: each for subject, each in zip(subjects, found) if each})
            frontier = [each for listed in found for each in listed if each.digest not in digests]
            if not frontier:
                break
        else:
            raise RegistryError(f"{self.source.reference}@{digest}: artifacts are nested too deeply")
        there = self.requests.map(lambda each: has_manifest(self.target, each), digests)
        wanted = [each for each, is_there in zip(digests, there) if not is_there]
        missing = self._read(wanted, lists, artifacts)
        kept = {subject: tuple(each for each in listed if each.digest not in wanted or each.digest in missing)
                for subject, listed in artifacts.items()}  # fmt: skip
        signatures, new_signatures = self._signatures(digests)
        return Content(manifest, tuple(digests), tuple(missing.values()), kept, signatures, new_signatures)

    def carry_out(self, content: Content, tally: Tally) -> None:
        """Copy what is missing.

        :raises RegistryError: if something cannot be copied
        """

        def bring(blob: Descriptor) -> None:
            means = self.blobs.bring(blob, self.source, self.target, nearby=self.nearby, deadline=self.deadline)
            tally.add(means, blob.size)

        self.requests.map(bring, content.blobs)
        images = [each for each in content.missing if not each.is_index]
        listing = set(self.requests.map(self._put, images))
        listing |= {self._put(each) for each in content.missing if each.is_index}
        for subject, artifacts in content.artifacts.items():
            if any(each.digest not in listing for each in artifacts):
                self._enlist(subject, artifacts)
        for tag, manifest in content.new_signatures.items():
            self.target.put_manifest(tag, manifest)

    def foresee(self, content: Content, tally: Tally) -> None:
        """Count what ``copy_missing`` would do."""
        means = self.requests.map(lambda blob: self.blobs.foresee(blob, self.source, self.target), content.blobs)
        for blob, each in zip(content.blobs, means):
            tally.add(each, blob.size)

    def _signatures(self, digests: Iterable[str]) -> tuple[tuple[str, ...], Mapping[str, Manifest]]:
        """Return cosign's tags, and the manifests of those that are to be copied."""
        tags = self.signatures.of(self.source, digests) if not self.partial else []
        found = dict(zip(tags, self.requests.map(self.source.manifest, tags)))
        wanted = self.requests.map(lambda tag: is_wanted(tag, found[tag], self.target), tags)
        return tuple(tags), {tag: found[tag] for tag, is_one in zip(tags, wanted) if is_one}

    def _put(self, manifest: Manifest) -> str:
        """Store a manifest; return its digest if the registry has registered its subject, else an empty string."""
        self.deadline.check()
        answer = self.target.put_manifest(manifest.digest, manifest)
        return manifest.digest if answer.headers.get("OCI-Subject") else ""

    def _enlist(self, subject: str, artifacts: Sequence[Descriptor]) -> None:
        """Add artifacts to the referrers index of a target without referrers API."""
        if (
            self.target.name in self.target.http.without_referrers_api
            or referrers.list_referrers(self.target, subject).by_tag
        ):
            referrers.add_referrers(self.target, subject, [each.fields for each in artifacts])

    def _add(self, root: Descriptor, lists: dict[str, Manifest], found: dict[str, None], depth: int = 0) -> None:
        """Add the digests of all members of a manifest, and then its own.

        :param lists: manifests of indexes read so far; updated
        :param found: digests added so far; updated
        """
        if root.digest in found:
            return
        if root.media_type in INDEX_MEDIA_TYPES or root.digest in lists:
            if depth > MAX_INDEX_DEPTH:
                raise RegistryError(f"{self.source.reference}: image indexes are nested too deeply")
            for member in self._members(root.digest, lists):
                if not member.is_manifest:
                    raise RegistryError(
                        f"{self.source.reference}@{root.digest} lists a non-image: {member.media_type[:100]!r}"
                    )
                self._add(member, lists, found, depth + 1)
        found[root.digest] = None
        if len(found) > MOST_MANIFESTS:
            raise RegistryError(f"an image of {self.source.reference} has more than {MOST_MANIFESTS} manifests")

    def _members(self, digest: str, lists: dict[str, Manifest]) -> Sequence[Descriptor]:
        """Return the members of an index."""
        if digest not in lists:
            try:
                lists[digest] = self.source.manifest(digest)
            except NoSuchImageError:
                if not self.partial:
                    raise
                return ()
        return lists[digest].manifests

    def _read(
        self, digests: Sequence[str], known: Mapping[str, Manifest], artifacts: Mapping[str, Sequence[Descriptor]]
    ) -> dict[str, Manifest]:
        """Return manifests by digest; artifacts that are listed but do not exist are left out."""
        listed = {each.digest for found in artifacts.values() for each in found}

        def read(digest: str) -> Manifest | None:
            try:
                return known.get(digest) or self.source.manifest(digest)
            except NoSuchImageError:
                if digest not in listed and not self.partial:
                    raise
                logger.warning("%s@%s is listed but does not exist", self.source.reference, digest)
                return None

        return {each.digest: each for each in self.requests.map(read, digests) if each}
