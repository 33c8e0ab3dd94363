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
from fedpkg_container.registry.copy import send
from fedpkg_container.registry.digests import hashed
from fedpkg_container.registry.manifests import DEEPEST_LIST, LISTS, Descriptor, Manifest
from fedpkg_container.registry.promotion.tagging import SignatureTags, is_wanted
from fedpkg_container.registry.promotion.workers import Workers
from fedpkg_container.registry.repository import Repository

logger = logging.getLogger(__name__)


def has_manifest(repository: Repository, digest: str) -> bool:
    """Whether a manifest is there, and can be had."""
    try:
        return repository.head(digest) == digest
    except RegistryUnavailableError as error:
        logger.warning("%s: taken for missing", error.reason)
        return False


def has_blob(repository: Repository, digest: str) -> bool:
    """Whether a blob is there, and can be had."""
    try:
        return repository.has_blob(digest)
    except RegistryUnavailableError as error:
        logger.warning("%s: taken for missing", error.reason)
        return False


@dataclass
class Tally:
    """What was done with the blobs of one image, or would be.

    :param bytes_sent: of the blobs that were sent; ``bytes_mounted`` of those that were not
    """

    mounted: int = 0
    sent: int = 0
    present: int = 0
    bytes_mounted: int = 0
    bytes_sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, means: str, size: int) -> None:
        """One more blob: mounted, sent or present."""
        with self._lock:
            setattr(self, means, getattr(self, means) + 1)
            if means != "present":
                setattr(self, f"bytes_{means}", getattr(self, f"bytes_{means}") + size)


def copy_deadline(what: str, seconds: float) -> Deadline:
    """Return the deadline of a copy to a target.

    :param what: subject of the error message
    """
    return Deadline(what, seconds, "raise the timeout of its target, or run it again: what is there is not sent again",
                    RegistryError)  # fmt: skip


@dataclass(frozen=True)
class Blobs:
    """Brings blobs; one for all images, so that what one of them has sent is mounted for the next.

    :param verify: read each blob of the candidate, and hash it, even where it would only be mounted
    :param sent: told how many bytes were read to be sent, or hashed
    """

    verify: bool = False
    sent: Callable[[int], None] = lambda _: None
    _places: dict[str, str] = field(default_factory=dict)
    _sending: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def bring(
        self, blob: Descriptor, source: Repository, target: Repository, *, nearby: Sequence[str], deadline: Deadline
    ) -> str:
        """Have a blob in the target's repository; by what means: mounted, sent or present.

        :param nearby: other repositories of the target's registry that may have it
        :raises RegistryError: it is not there, is not what its digest says, or is not taken
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
            if self._places.get(blob.digest) == target.name:  # another image has just brought it
                return "present"
            for place in dict.fromkeys([self._places.get(blob.digest, ""), *nearby]):
                if place and place != target.name and _mount(target, blob, place):
                    return "mounted"
            send(blob, source, target, watched=lambda chunks: self._within(chunks, deadline))
            self._places[blob.digest] = target.name
        return "sent"

    @staticmethod
    def foresee(blob: Descriptor, source: Repository, target: Repository) -> str:
        """What ``bring`` would do, as far as one request tells."""
        if has_blob(target, blob.digest):
            return "present"
        return "mounted" if source.http.host == target.http.host else "sent"

    def _read(self, blob: Descriptor, source: Repository, deadline: Deadline) -> None:
        def once() -> None:
            with source.open_blob(blob.digest) as stream:
                for _ in hashed(self._within(stream.chunks, deadline), blob.digest, blob.size):
                    pass

        source.http.again(once)

    def _within(self, chunks: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
        for chunk in chunks:
            deadline.check()
            self.sent(len(chunk))
            yield chunk


def _mount(target: Repository, blob: Descriptor, place: str) -> bool:
    """Whether a repository that may have a blob gave it; one that may not be read gives nothing."""
    try:
        return target.mount(blob.digest, place)
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return False


#: Manifests that may belong to one image.
MOST_MANIFESTS = 2000


@dataclass(frozen=True)
class Content:
    """An image with everything that belongs to it, as the source has it.

    :param manifest: of the image: a list, or of one arch
    :param digests: of all manifests, each after those that it refers to; artifacts after what they are about
    :param missing: those of them that the target does not have, in the same order
    :param artifacts: digest → what refers to it
    :param signatures: tags of what cosign keeps beside images
    :param new_signatures: those of them that the target is to get, with what is under them
    """

    manifest: Manifest
    digests: tuple[str, ...]
    missing: tuple[Manifest, ...]
    artifacts: Mapping[str, tuple[Descriptor, ...]]
    signatures: tuple[str, ...] = ()
    new_signatures: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def blobs(self) -> list[Descriptor]:
        """The blobs of what is missing, each once, that registries have."""
        manifests = (*self.missing, *self.new_signatures.values())
        found = {blob.digest: blob for manifest in manifests for blob in manifest.blobs if not blob.is_foreign}
        return list(found.values())

    @property
    def attached(self) -> int:
        """How many SBOMs, signatures and the like there are."""
        return len({each.digest for listed in self.artifacts.values() for each in listed}) + len(self.signatures)


@dataclass(frozen=True)
class Copying:
    """From one repository to another.

    :param requests: threads for single requests
    :param nearby: other repositories of the target's registry that may have blobs of the image
    :param signatures: finds what cosign keeps beside images of the source
    :param partial: whether an image is looked at, though not copied, of which something is missing at the source
    """

    source: Repository
    target: Repository
    blobs: Blobs
    requests: Workers
    deadline: Deadline
    nearby: tuple[str, ...] = ()
    signatures: SignatureTags = field(default_factory=SignatureTags)
    partial: bool = False

    def survey(self, digest: str) -> Content:
        """See what belongs to an image, and what of it is missing; nothing is changed.

        :raises RegistryError: it is not there, or is not what it says
        """
        manifest = self.source.manifest(digest)
        lists = {manifest.digest: manifest}
        digests: dict[str, None] = {}
        artifacts: dict[str, tuple[Descriptor, ...]] = {}
        frontier = [Descriptor.of(manifest.descriptor)]
        for _ in range(referrers.DEEPEST + 1):
            known = len(digests)
            for root in frontier:
                self._add(root, lists, digests)
            subjects = list(digests)[known:]
            found = self.requests.each(lambda each: referrers.listing(self.source, each).artifacts, subjects)
            artifacts.update({subject: each for subject, each in zip(subjects, found) if each})
            frontier = [each for listed in found for each in listed if each.digest not in digests]
            if not frontier:
                break
        else:
            raise RegistryError(f"{self.source.reference}@{digest}: artifacts refer to artifacts without end")
        there = self.requests.each(lambda each: has_manifest(self.target, each), digests)
        wanted = [each for each, is_there in zip(digests, there) if not is_there]
        missing = self._read(wanted, lists, artifacts)
        kept = {subject: tuple(each for each in listed if each.digest not in wanted or each.digest in missing)
                for subject, listed in artifacts.items()}  # fmt: skip
        signatures, new_signatures = self._signatures(digests)
        return Content(manifest, tuple(digests), tuple(missing.values()), kept, signatures, new_signatures)

    def carry_out(self, content: Content, tally: Tally) -> None:
        """Copy what is missing.

        :raises RegistryError: something could not be copied
        """

        def bring(blob: Descriptor) -> None:
            means = self.blobs.bring(blob, self.source, self.target, nearby=self.nearby, deadline=self.deadline)
            tally.add(means, blob.size)

        self.requests.each(bring, content.blobs)
        images = [each for each in content.missing if not each.is_list]
        listing = set(self.requests.each(self._put, images))
        listing |= {self._put(each) for each in content.missing if each.is_list}
        for subject, artifacts in content.artifacts.items():
            if any(each.digest not in listing for each in artifacts):
                self._enlist(subject, artifacts)
        for tag, manifest in content.new_signatures.items():
            self.target.put_manifest(tag, manifest)

    def foresee(self, content: Content, tally: Tally) -> None:
        """Count what ``carry_out`` would do."""
        means = self.requests.each(lambda blob: self.blobs.foresee(blob, self.source, self.target), content.blobs)
        for blob, each in zip(content.blobs, means):
            tally.add(each, blob.size)

    def _signatures(self, digests: Iterable[str]) -> tuple[tuple[str, ...], Mapping[str, Manifest]]:
        """The tags of signatures, and what is under those that the target is to get."""
        tags = self.signatures.of(self.source, digests) if not self.partial else []
        found = dict(zip(tags, self.requests.each(self.source.manifest, tags)))
        wanted = self.requests.each(lambda tag: is_wanted(tag, found[tag], self.target), tags)
        return tuple(tags), {tag: found[tag] for tag, is_one in zip(tags, wanted) if is_one}

    def _put(self, manifest: Manifest) -> str:
        """Push a manifest; its digest when the registry has seen by itself what it refers to, else nothing."""
        self.deadline.check()
        answer = self.target.put_manifest(manifest.digest, manifest)
        return manifest.digest if answer.headers.get("OCI-Subject") else ""

    def _enlist(self, subject: str, artifacts: Sequence[Descriptor]) -> None:
        """Have artifacts listed at a target that does not list them itself."""
        if self.target.name in self.target.http.without_referrers or referrers.listing(self.target, subject).by_tag:
            referrers.enlist(self.target, subject, [each.facts for each in artifacts])

    def _add(self, root: Descriptor, lists: dict[str, Manifest], found: dict[str, None], depth: int = 0) -> None:
        """Add the digests of all that a manifest lists, and after them its own.

        :param lists: manifests of lists that have been read; more are added
        :param found: what has been added so far
        """
        if root.digest in found:
            return
        if root.media_type in LISTS or root.digest in lists:
            if depth > DEEPEST_LIST:
                raise RegistryError(f"{self.source.reference}: lists of images in lists without end")
            for member in self._members(root.digest, lists):
                if not member.is_manifest:
                    raise RegistryError(
                        f"{self.source.reference}@{root.digest} lists what is no image: {member.media_type[:100]!r}"
                    )
                self._add(member, lists, found, depth + 1)
        found[root.digest] = None
        if len(found) > MOST_MANIFESTS:
            raise RegistryError(f"an image of {self.source.reference} has more than {MOST_MANIFESTS} manifests")

    def _members(self, digest: str, lists: dict[str, Manifest]) -> Sequence[Descriptor]:
        """What a list holds."""
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
        """The manifests of some digests; artifacts that are listed and not there are left out."""
        listed = {each.digest for found in artifacts.values() for each in found}

        def read(digest: str) -> Manifest | None:
            try:
                return known.get(digest) or self.source.manifest(digest)
            except NoSuchImageError:
                if digest not in listed and not self.partial:
                    raise
                logger.warning("%s@%s is listed, and is not there", self.source.reference, digest)
                return None

        return {each.digest: each for each in self.requests.each(read, digests) if each}
