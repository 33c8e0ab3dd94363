# SPDX-License-Identifier: GPL-2.0-or-later
"""Promotion of builds: check the site's rules, copy by digest, move tags, record in the journal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from fedpkg_container.errors import FedpkgContainerError, RefusedError, RegistryUnavailableError
from fedpkg_container.model.koji_images import Candidate, RejectedCandidate
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.progress import Progress
from fedpkg_container.registry.promotion.blob_copying import BlobCopier, copy_deadline
from fedpkg_container.registry.promotion.copying import ImageContent, ImageCopier
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import ATTACH, PROMOTE, JournalEntry, TagMove
from fedpkg_container.registry.promotion.nvr_lookup import NVRLookup, arches_of
from fedpkg_container.registry.promotion.result import PLANNED, PROMOTED, UNCHANGED, PromotionResult
from fedpkg_container.registry.promotion.tagging import (
    ALREADY,
    KEPT,
    SET,
    SignatureTags,
    TagChange,
    TagRules,
    TagUpdater,
    wanted_tags,
)
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.image_signer import ImageSigner, open_image_signer
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.workers import WorkerPool

_log = logging.getLogger(__name__)

#: Concurrent requests per image that is promoted, and in total.
REQUESTS_PER_BUILD = 4
MAX_REQUESTS = 32
BuildCandidate = Union[Candidate, RejectedCandidate]


@dataclass(frozen=True)
class PromoteOptions:
    """How builds are to be promoted.

    :param dry_run: change nothing
    :param verify: read and hash all copied blobs, including mounted ones
    :param sign: sign the images, even if the target does not require it
    """

    rules: TagRules = field(default_factory=TagRules)
    dry_run: bool = False
    verify: bool = False
    sign: bool = False


@dataclass(frozen=True)
class Promoter:
    """Promotes builds to one target.

    :param source: the candidate registry
    :param destination: the target's registry
    :param requests: worker pool for requests
    :param steps: the steps for one build
    :param signer: signs the images before their tags are set; None: they are not signed
    """

    site: DistributionSite
    target: Target
    options: PromoteOptions
    source: RegistryHTTP
    destination: RegistryHTTP
    journal: Journal
    blobs: BlobCopier
    requests: WorkerPool
    steps: Callable[[Promoter, Candidate, PromotionResult], BuildPromotion]
    signer: ImageSigner | None = None
    signatures: SignatureTags = field(default_factory=SignatureTags)

    def promote(self, candidate: Candidate | RejectedCandidate) -> PromotionResult:
        """Promote one build; errors are reported in the result."""
        began = time.monotonic()
        result = PromotionResult(str(candidate.nvr))
        try:
            if isinstance(candidate, RejectedCandidate):
                raise RefusedError(candidate.reason, solution=candidate.solution)
            self._check_accepted(candidate)
            self.steps(self, candidate, result).promote()
        except FedpkgContainerError as error:
            result.fail(error)
            _log.info("%s %s: %s", candidate.nvr, result.state, error.reason)
        result.seconds = time.monotonic() - began
        return result

    def cancel(self) -> None:
        """Cancel all requests and stop waiting for locks."""
        self.source.cancel()
        self.destination.cancel()
        self.journal.locks.cancel()

    def _check_accepted(self, candidate: Candidate) -> None:
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


class BuildPromotion:
    """The promotion of one build.

    :param result: filled in
    """

    #: Kind of the change in the journal, and state of the result if anything was done.
    what, done_state = PROMOTE, PROMOTED

    def __init__(self, promoter: Promoter, candidate: Candidate, result: PromotionResult) -> None:
        target, image = promoter.target, candidate.image
        reference = target.repository(image.repository)
        self.promoter, self.candidate, self.result = promoter, candidate, result
        self.tags = wanted_tags(candidate, target)
        self.repository = Repository(promoter.destination, reference.repository)
        self.copier = ImageCopier(
            Repository(promoter.source, image.repository),
            self.repository,
            promoter.blobs,
            promoter.requests,
            copy_deadline(f"promoting {candidate.nvr}", target.access.timeout),
            signatures=promoter.signatures,
            mount_sources=tuple(target.repository(parent.repository).repository for parent in candidate.parents),
        )
        result.source, result.repository, result.digest = str(image), str(reference), image.digest
        result.warnings = self.copier.warnings
        self._read_history()

    def _read_history(self) -> None:
        """Read the journal, to which other processes may have added entries."""
        self.history = self.promoter.journal.history(self.result.repository)
        self.tag_updater = TagUpdater(
            self.repository, NVRLookup(self.repository, self.history.builds), self.promoter.options.rules
        )

    def promote(self) -> None:
        """Copy the image, set its tags and record the promotion.

        :raises FedpkgContainerError: if it is refused or fails
        """
        self.result.tags = self._plan_tags()  # before copying, since this may refuse the build
        content = self.copier.inspect(self.candidate.image.digest)
        _log.info(
            "%s: %d manifests, of which %d are missing in %s, and %d signatures to copy",
            self.candidate.nvr,
            len(content.digests),
            len(content.missing),
            self.result.repository,
            len(content.new_signatures),
        )
        self._describe(content)
        if self.promoter.options.dry_run:
            self.copier.predict(content, self.result.blobs)
            self._sign(content)
            self.result.state = PLANNED if self._has_work(content) else UNCHANGED
            return
        self.copier.copy_missing(content, self.result.blobs)
        self._describe(content)
        if self.result.manifests:  # without those that the target rejects in every run
            self._record_attach_start()
        self._sign(content)
        has_work = self._has_work(content)
        self._record_attach_end()
        if not self._is_done():
            with self.promoter.journal.locks.hold(self.result.repository):
                self._read_history()
                self.result.tags = self._plan_tags()
                if not self._is_done():
                    has_work = has_work or self._has_work(content)
                    self.update_floating_tags(content.manifest)
                elif self.result.signed:  # another process was first, perhaps before these signatures
                    self._record_attach_start()
                    self._record_attach_end()
        self.result.state = self.done_state if has_work else UNCHANGED

    def _sign(self, content: ImageContent) -> None:
        """Sign the image if that is requested; in a dry run find out what would be signed."""
        signer, requests = self.promoter.signer, self.promoter.requests
        if signer is None:
            return
        formats = signer.formats(self.repository, content.manifest.digest)
        if self.promoter.options.dry_run:
            self.result.signed = list(signer.missing(self.repository, content.images, formats, requests))
            return
        with self.promoter.journal.locks.hold(self.result.repository):
            missing = signer.missing(self.repository, content.images, formats, requests)
            if missing:
                self._record_attach_start()
            signer.sign(self.repository, missing, requests)
            self.result.signed = list(missing)

    def _record_attach_start(self) -> None:
        """Record that referrers are added to an image whose promotion is in the journal already.

        Otherwise ``mirror`` and ``catalog``, which read the repositories in new entries, would find them a day later.
        """
        digest = self.candidate.image.digest
        if self._is_done() and digest not in self.history.attaching:
            entry = self._entry(ATTACH, digest)
            self.promoter.journal.append(entry)
            self.history.attaching[digest] = entry

    def _record_attach_end(self) -> None:
        """Record that referrers were added, by this run or an interrupted one."""
        if entry := self.history.attaching.pop(self.candidate.image.digest, None):
            self.promoter.journal.append(entry.done())
            _log.info("recorded the new referrers of %s in the journal", self.candidate.nvr)

    def _plan_tags(self) -> list[TagChange]:
        heads = self.promoter.requests.map(self._current_digest, self.tags)
        return self.tag_updater.plan(self.candidate.nvr, self.candidate.image.digest, self.tags, heads)

    def _current_digest(self, tag: str) -> str:
        """Return a tag's digest; empty for a tag that the registry broke during an interrupted promotion."""
        try:
            return self.repository.head(tag)
        except RegistryUnavailableError:
            unfinished = self.history.unfinished.get(self.candidate.image.digest)
            if unfinished and tag in unfinished.tags:
                return ""
            raise

    def _describe(self, content: ImageContent) -> None:
        self.result.arches = arches_of(content.manifest)
        self.result.manifests = [
            manifest.digest
            for manifest in (*content.missing, *content.new_signatures.values())
            if manifest.digest not in self.copier.rejected
        ]
        self.result.artifacts = content.artifact_count

    def _has_work(self, content: ImageContent) -> bool:
        self._describe(content)
        return bool(self.result.manifests or self.result.signed) or not _is_up_to_date(self.result.tags)

    def _is_done(self) -> bool:
        """Return whether the tags are set, and the journal has the promotion."""
        return _is_up_to_date(self.result.tags) and (
            self.promoter.journal.path is None
            or self.promoter.target.name in self.history.promoted[self.candidate.image.digest]
        )

    def update_floating_tags(self, manifest: Manifest) -> None:
        """Set the release tag and move the floating tags, between the two journal entries of the change."""
        changes = [change for change in self.result.tags if change.what == SET]
        tags = {change.tag: self._tag_move(change) for change in self.result.tags if change.what != KEPT}
        entry = self._entry(self.what, manifest.digest, tags)
        self.promoter.journal.append(entry)
        for change in changes:
            self.tag_updater.set_tag(change, manifest)
        self.promoter.journal.append(entry.done())
        _log.info("recorded the promotion of %s in the journal", self.candidate.nvr)

    def _entry(self, what: str, digest: str, tags: Mapping[str, TagMove] | None = None) -> JournalEntry:
        """Return the entry of a change that starts now."""
        return JournalEntry.start(
            what,
            target=self.promoter.target.name,
            repository=self.result.repository,
            nvr=str(self.candidate.nvr),
            digest=digest,
            source=self.result.source,
            tags=tags or {},
        )

    def _tag_move(self, change: TagChange) -> TagMove:
        """Return a tag's move for the journal, including that of an interrupted promotion of the same build."""
        unfinished = self.history.unfinished.get(change.after)
        if change.what == ALREADY and unfinished and unfinished.what == PROMOTE and change.tag in unfinished.tags:
            return unfinished.tags[change.tag]
        return TagMove(change.before, change.after)


def _is_up_to_date(changes: Sequence[TagChange]) -> bool:
    return all(change.what != SET for change in changes)


def promote(
    site: DistributionSite,
    target: Target,
    builds: Sequence[BuildCandidate],
    options: PromoteOptions,
    *,
    steps: Callable[[Promoter, Candidate, PromotionResult], BuildPromotion] = BuildPromotion,
    on_result: Callable[[PromotionResult], None] = lambda _: None,
    progress: Progress | None = None,
) -> list[PromotionResult]:
    """Promote builds concurrently; a failure of one does not stop the others.

    :param steps: the steps for one build
    :param on_result: called for each build as soon as its result is known, in any thread; not for builds that are
        canceled by an interruption
    :raises ConfigurationError: if the signer cannot be used, or the journal not be read or written; nothing was done
    """
    signer = open_image_signer(site, target, requested=options.sign)
    journal, progress = Journal(site.journal), progress or Progress()
    journal.repositories()  # raises if it cannot be read
    if not options.dry_run:
        journal.check()
    registry, target_registry = Registry(site.candidates.access), Registry(target.access)
    with (
        registry.http(site.candidates.registry) as source,
        target_registry.http(target.registry) as destination,
        WorkerPool(min(site.parallel * REQUESTS_PER_BUILD, MAX_REQUESTS)) as requests,
    ):
        blobs = BlobCopier(options.verify, progress.received)
        promoter = Promoter(site, target, options, source, destination, journal, blobs, requests, steps, signer)
        progress.began("promoting", len(builds))

        def promote_build(build: BuildCandidate) -> PromotionResult:
            result = promoter.promote(build)
            if result.succeeded or not source.is_canceled:
                on_result(result)
            progress.advanced()
            return result

        with WorkerPool(site.parallel, cancel=promoter.cancel) as workers:
            return workers.map(promote_build, builds)
