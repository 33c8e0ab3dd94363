"""Promotion of builds: check the site's rules, copy by digest, move tags, record in the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Union

from fedpkg_container.errors import FedpkgContainerError, RefusedError, RegistryUnavailableError
from fedpkg_container.model.koji_images import Candidate, NoCandidate
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.promotion.copying import Blobs, Content, Copying, copy_deadline
from fedpkg_container.registry.promotion.journal import PROMOTE, Entry, History, Move, Record
from fedpkg_container.registry.promotion.nvr_lookup import Identities, arches_of
from fedpkg_container.registry.promotion.result import FAILED, PLANNED, PROMOTED, REFUSED, UNCHANGED, Outcome
from fedpkg_container.registry.promotion.tagging import (
    ALREADY,
    KEPT,
    SET,
    Rules,
    SignatureTags,
    TagChange,
    Tagging,
    wanted_tags,
)
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.workers import WorkerPool

#: Concurrent requests per image that is promoted, and in total.
REQUESTS_EACH = 4
MOST_REQUESTS = 32


@dataclass(frozen=True)
class Wish:
    """How builds are to be promoted.

    :param dry_run: change nothing
    :param verify: read and hash all copied blobs, including mounted ones
    """

    rules: Rules = field(default_factory=Rules)
    dry_run: bool = False
    verify: bool = False


@dataclass(frozen=True)
class Promotion:
    """Promotes builds to one target.

    :param source: the candidate registry
    :param destination: the target's registry
    :param requests: worker pool for requests
    """

    site: DistributionSite
    target: Target
    wish: Wish
    source: RegistryHTTP
    destination: RegistryHTTP
    record: Record
    history: History
    blobs: Blobs
    requests: WorkerPool
    signatures: SignatureTags = field(default_factory=SignatureTags)

    def promote(self, candidate: Candidate | NoCandidate) -> Outcome:
        """Promote one build; errors are reported in the result."""
        began = time.monotonic()
        outcome = Outcome(str(candidate.nvr))
        try:
            if isinstance(candidate, NoCandidate):
                raise RefusedError(candidate.reason, solution=candidate.solution)
            self._refuse(candidate)
            _Image(self, candidate, outcome).promote()
        except FedpkgContainerError as error:
            outcome.state = REFUSED if isinstance(error, RefusedError) else FAILED
            outcome.error, outcome.solution = error.reason, error.solution
        outcome.seconds = time.monotonic() - began
        return outcome

    def cancel(self) -> None:
        """Cancel all requests and stop waiting for locks."""
        self.source.cancel()
        self.destination.cancel()
        self.record.locks.cancel()

    def _refuse(self, candidate: Candidate) -> None:
        """Check that the target accepts a build.

        :raises RefusedError: if not
        """
        if not any(map(self.target.allows, candidate.koji_tags)):
            tags = f"it is in {', '.join(candidate.koji_tags)}" if candidate.koji_tags else "it is in no Koji tag"
            raise RefusedError(
                f"target {self.target.name!r} does not accept {candidate.nvr}: {tags}",
                solution=f"koji tag-build TAG {candidate.nvr}, TAG matching {' or '.join(self.target.koji_tags)}",
            )
        if candidate.image.registry != self.source.host:
            raise RefusedError(
                f"{candidate.nvr} was recorded at {candidate.image.registry}, not in the candidate registry"
                f" {self.source.host}",
                solution="check [candidate] registry",
            )


class _Image:
    """The promotion of one build.

    :param outcome: filled in
    """

    def __init__(self, promotion: Promotion, candidate: Candidate, outcome: Outcome) -> None:
        target, image = promotion.target, candidate.image
        place = target.repository(image.repository)
        self.promotion, self.candidate, self.outcome = promotion, candidate, outcome
        self.known = promotion.history.of(str(place))
        self.tags = wanted_tags(candidate, target)
        self.repository = Repository(promotion.destination, place.repository)
        self.tagging = Tagging(self.repository, Identities(self.repository, self.known.builds), promotion.wish.rules)
        self.copying = Copying(
            Repository(promotion.source, image.repository),
            self.repository,
            promotion.blobs,
            promotion.requests,
            copy_deadline(f"promoting {candidate.nvr}", target.access.timeout),
            signatures=promotion.signatures,
            nearby=tuple(target.repository(each.repository).repository for each in candidate.parents),
        )
        outcome.source, outcome.repository, outcome.digest = str(image), str(place), image.digest

    def promote(self) -> None:
        """Copy the image, set its tags and record the promotion.

        :raises FedpkgContainerError: if it is refused or fails
        """
        self.outcome.tags = self._decide()  # before copying, since this may refuse the build
        content = self.copying.survey(self.candidate.image.digest)
        self._tell(content)
        if self.promotion.wish.dry_run:
            self.copying.foresee(content, self.outcome.blobs)
            self.outcome.state = PLANNED if self._has_work(content) else UNCHANGED
            return
        self.copying.carry_out(content, self.outcome.blobs)
        if _settled(self.outcome.tags) and self._is_recorded():
            self.outcome.state = PROMOTED if self._has_work(content) else UNCHANGED
            return
        with self.promotion.record.locks.held(self.outcome.repository):
            self.outcome.tags = self._decide()
            self._tag(content.manifest)
        self.outcome.state = PROMOTED if self._has_work(content) else UNCHANGED

    def _decide(self) -> list[TagChange]:
        heads = self.promotion.requests.map(self._head, self.tags)
        return self.tagging.decide(self.candidate.nvr, self.candidate.image.digest, self.tags, heads)

    def _head(self, tag: str) -> str:
        """Return a tag's digest; empty for a tag that the registry broke during an interrupted promotion."""
        try:
            return self.repository.head(tag)
        except RegistryUnavailableError:
            begun = self.known.unfinished.get(self.candidate.image.digest)
            if begun and tag in begun.tags:
                return ""
            raise

    def _tell(self, content: Content) -> None:
        self.outcome.arches = arches_of(content.manifest)
        self.outcome.manifests = [each.digest for each in (*content.missing, *content.new_signatures.values())]
        self.outcome.artifacts = content.attached

    def _has_work(self, content: Content) -> bool:
        return bool(content.missing or content.new_signatures) or not _settled(self.outcome.tags)

    def _is_recorded(self) -> bool:
        return (
            self.promotion.record.path is None
            or self.promotion.target.name in self.known.promoted[self.candidate.image.digest]
        )

    def _tag(self, manifest: Manifest) -> None:
        """Set the tags, between the two journal entries of the change."""
        changes = [each for each in self.outcome.tags if each.what == SET]
        entry = Entry.begin(
            PROMOTE,
            target=self.promotion.target.name,
            repository=self.outcome.repository,
            nvr=str(self.candidate.nvr),
            digest=manifest.digest,
            source=self.outcome.source,
            tags={each.tag: self._move(each) for each in self.outcome.tags if each.what != KEPT},
        )
        self.promotion.record.append(entry)
        for change in changes:
            self.tagging.set(change, manifest)
        self.promotion.record.append(entry.done())

    def _move(self, change: TagChange) -> Move:
        """Return a tag's move for the journal, including that of an interrupted promotion of the same build."""
        begun = self.known.unfinished.get(change.after)
        if change.what == ALREADY and begun and begun.what == PROMOTE and change.tag in begun.tags:
            return begun.tags[change.tag]
        return Move(change.before, change.after)


def _settled(changes: Sequence[TagChange]) -> bool:
    return all(each.what != SET for each in changes)


Found = Union[Candidate, NoCandidate]


def promote(
    site: DistributionSite,
    target: Target,
    found: Sequence[Found],
    wish: Wish,
    *,
    told: Callable[[Outcome], None] = lambda _: None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Promote builds concurrently; a failure of one does not stop the others.

    :param on_result: called for each build as soon as its result is known, in any thread; not for builds that are
        canceled by an interruption
    :raises ConfigurationError: if the journal cannot be read or written; nothing was done
    """
    record, progress = Record(site.record), progress or Progress()
    history = History(record.entries())
    if not wish.dry_run:
        record.check()
    candidates, destination = Registry(site.candidates.access), Registry(target.access)
    with (
        candidates.http(site.candidates.registry) as source,
        destination.http(target.registry) as there,
        WorkerPool(min(site.parallel * REQUESTS_EACH, MOST_REQUESTS)) as requests,
    ):
        blobs = Blobs(wish.verify, progress.received)
        promotion = Promotion(site, target, wish, source, there, record, history, blobs, requests)
        progress.began("promoting", len(found))

        def one(each: Found) -> Outcome:
            outcome = promotion.promote(each)
            if outcome.is_good or not source.is_canceled:
                told(outcome)
            progress.advanced()
            return outcome

        with WorkerPool(site.parallel, cancel=promotion.cancel) as builds:
            return builds.map(one, found)
