"""Promoting builds: copied by digest, then tagged; refused where the site's rules say so; recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Union

from fedpkg_container.errors import FedpkgContainerError, RefusedError, RegistryUnavailableError
from fedpkg_container.model.koji_images import Candidate, RejectedCandidate
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
from fedpkg_container.registry.promotion.workers import Workers
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry

#: Requests at the same time, for each image that is promoted at the same time, and for all.
REQUESTS_EACH = 4
MOST_REQUESTS = 32


@dataclass(frozen=True)
class Wish:
    """How builds are to be promoted.

    :param dry_run: change nothing
    :param verify: read and hash every blob that is copied, mounted ones too
    """

    rules: Rules = field(default_factory=Rules)
    dry_run: bool = False
    verify: bool = False


@dataclass(frozen=True)
class Promotion:
    """Brings builds to one target.

    :param source: the candidate registry
    :param destination: the target's
    :param requests: threads for single requests
    """

    site: DistributionSite
    target: Target
    wish: Wish
    source: RegistryHTTP
    destination: RegistryHTTP
    record: Record
    history: History
    blobs: Blobs
    requests: Workers
    signatures: SignatureTags = field(default_factory=SignatureTags)

    def promote(self, candidate: Candidate | RejectedCandidate) -> Outcome:
        """Promote one build, or say why not."""
        began = time.monotonic()
        outcome = Outcome(str(candidate.nvr))
        try:
            if isinstance(candidate, RejectedCandidate):
                raise RefusedError(candidate.reason, solution=candidate.solution)
            self._refuse(candidate)
            _Image(self, candidate, outcome).promote()
        except FedpkgContainerError as error:
            outcome.state = REFUSED if isinstance(error, RefusedError) else FAILED
            outcome.error, outcome.solution = error.reason, error.solution
        outcome.seconds = time.monotonic() - began
        return outcome

    def abandon(self) -> None:
        """Let everything that goes on end soon."""
        self.source.abandon()
        self.destination.abandon()
        self.record.locks.abandon()

    def _refuse(self, candidate: Candidate) -> None:
        """Look whether the site lets a build through.

        :raises RefusedError: it does not
        """
        if not any(map(self.target.lets_through, candidate.koji_tags)):
            tags = f"it is in {', '.join(candidate.koji_tags)}" if candidate.koji_tags else "it is in no tag of Koji"
            raise RefusedError(
                f"{candidate.nvr} is in no tag that {self.target.name} lets through: {tags}",
                solution=f"koji tag-build TAG {candidate.nvr}, with a TAG like {' or '.join(self.target.koji_tags)}",
            )
        if candidate.image.registry != self.source.host:
            raise RefusedError(
                f"{candidate.nvr} was recorded at {candidate.image.registry}, not in the candidate registry"
                f" {self.source.host}",
                solution="see [candidate] registry",
            )


class _Image:
    """One build on its way.

    :param outcome: what becomes of it; filled in as it is found out
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
        """Copy it, tag it and record that.

        :raises FedpkgContainerError: it is refused, or something of it failed
        """
        self.outcome.tags = self._decide()  # before anything is copied that could not be tagged then
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
        heads = self.promotion.requests.each(self._head, self.tags)
        return self.tagging.decide(self.candidate.nvr, self.candidate.image.digest, self.tags, heads)

    def _head(self, tag: str) -> str:
        """What a tag points to; nothing for one that an attempt was just setting, and that the registry broke."""
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
        """Set the tags, between the two lines of the record."""
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
        """What the record says of a tag, with what an attempt did that was interrupted before it could record that."""
        begun = self.known.unfinished.get(change.after)
        if change.what == ALREADY and begun and begun.what == PROMOTE and change.tag in begun.tags:
            return begun.tags[change.tag]
        return Move(change.before, change.after)


def _settled(changes: Sequence[TagChange]) -> bool:
    return all(each.what != SET for each in changes)


Found = Union[Candidate, RejectedCandidate]


def promote(
    site: DistributionSite,
    target: Target,
    found: Sequence[Found],
    wish: Wish,
    *,
    told: Callable[[Outcome], None] = lambda _: None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Promote builds, several at the same time; what becomes of one does not stop the others.

    :param told: called for each build as soon as it is known what became of it, in any thread; not for those that are
        given up when it is interrupted
    :raises ConfigurationError: the record cannot be read or written; nothing was done
    """
    record, progress = Record(site.record), progress or Progress()
    history = History(record.entries())
    if not wish.dry_run:
        record.check()
    candidates, destination = Registry(site.candidates.access), Registry(target.access)
    with (
        candidates.http(site.candidates.registry) as source,
        destination.http(target.registry) as there,
        Workers(min(site.parallel * REQUESTS_EACH, MOST_REQUESTS)) as requests,
        Workers(site.parallel) as images,
    ):
        blobs = Blobs(wish.verify, progress.received)
        promotion = Promotion(site, target, wish, source, there, record, history, blobs, requests)
        progress.began("promoting", len(found))

        def one(each: Found) -> Outcome:
            outcome = promotion.promote(each)
            if outcome.is_good or not source.is_abandoned:
                told(outcome)
            progress.advanced()
            return outcome

        return images.each(one, found, on_error=promotion.abandon)
