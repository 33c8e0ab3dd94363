# SPDX-License-Identifier: GPL-2.0-or-later
"""Reversal of promotions: floating tags are moved back to the previous build, and on request the image is deleted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import (
    ConfigurationError,
    FedpkgContainerError,
    NoSuchImageError,
    RefusedError,
    RegistryError,
    RegistryUnavailableError,
)
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import MAX_INDEX_DEPTH
from fedpkg_container.registry.promotion.blob_copying import BlobCopier, copy_deadline
from fedpkg_container.registry.promotion.copying import ImageContent, ImageCopier
from fedpkg_container.registry.promotion.history import RepositoryHistory
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.journal_entry import UNPROMOTE, JournalEntry, TagMove
from fedpkg_container.registry.promotion.nvr_lookup import NVRLookup, parse_nvr
from fedpkg_container.registry.promotion.result import FAILED, PLANNED, UNCHANGED, UNPROMOTED, PromotionResult
from fedpkg_container.registry.promotion.tagging import KEPT, REMOVED, SET, TagChange, TagRules, TagUpdater
from fedpkg_container.registry.referrers import fallback_tag, fallback_tag_of, staged_tag
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.signer import site_keys
from fedpkg_container.registry.signing.verification import SIGNED, ImageVerifier
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.workers import WorkerPool

_log = logging.getLogger(__name__)

REQUESTS = 8
#: Reasons for keeping a tag.
NOT_OURS = "it was not set by promote"
NO_BUILD_BEFORE = "there is no previous build"


def current_digests(repository: Repository, tags: Sequence[str], requests: WorkerPool) -> dict[str, str]:
    """Return the current digests of tags; deleted tags are left out."""
    return {tag: head for tag, head in zip(tags, requests.map(repository.head, tags)) if head}


@dataclass(frozen=True)
class DeletionPlan:
    """Manifests to delete with an image.

    :param digests: in the order of deletion: the image first, so that no client gets an incomplete one
    :param kept: manifest that belongs to the image and is kept → reason
    """

    digests: tuple[str, ...]
    kept: Mapping[str, str]


def plan_deletion(
    repository: Repository, content: ImageContent, heads: Mapping[str, str], requests: WorkerPool
) -> DeletionPlan:
    """Return what can be deleted with an image.

    :param content: the image with everything that belongs to it
    :param heads: digest of every tag in the repository
    """
    image = content.manifest.digest
    lists = {fallback_tag(subject): subject for subject in content.digests}
    others = {tag: head for tag, head in heads.items() if head != image and fallback_tag_of(tag) not in lists}
    reached = _reached(repository, others, requests)
    reasons_to_keep: dict[str, str] = {}
    for digest in content.digests:  # artifacts come after their subjects
        if digest != image and digest in reached:
            reasons_to_keep[digest] = f"also referenced by the tag {reached[digest]}"
            _log.info("manifest %s kept: %s", digest, reasons_to_keep[digest])
    for subject, artifacts in content.artifacts.items():
        if subject in reasons_to_keep:
            reasons_to_keep.update({artifact.digest: f"refers to {subject}, which is kept" for artifact in artifacts})
    rest = [item for item in content.digests if item != image and item not in reasons_to_keep]
    existing = requests.map(repository.head, rest)
    rest = [digest for digest, head in zip(rest, existing) if head]
    belonging = {tag: lists[fallback_tag_of(tag)] for tag in heads if fallback_tag_of(tag) in lists}
    tagged = [heads[tag] for tag, subject in belonging.items() if subject not in reasons_to_keep]
    return DeletionPlan(tuple(dict.fromkeys([image, *rest, *tagged])), reasons_to_keep)


def resume_deletion(
    repository: Repository, unfinished: Sequence[str], heads: Mapping[str, str], requests: WorkerPool
) -> DeletionPlan:
    """Return what is left of a deletion that was interrupted after the image itself was deleted.

    :param unfinished: planned deletions, the image first; may be empty
    :param heads: digest of every tag in the repository
    """
    others = {tag: head for tag, head in heads.items() if head not in unfinished}
    reached = _reached(repository, others, requests)
    existing = requests.map(repository.head, unfinished)
    left = [digest for digest, head in zip(unfinished, existing) if head and digest not in reached]
    return DeletionPlan(tuple(dict.fromkeys([*unfinished[:1], *left])), {})


def _reached(repository: Repository, heads: Mapping[str, str], requests: WorkerPool) -> dict[str, str]:
    """Return digests reachable from tags → one of these tags."""
    reached = {head: tag for tag, head in heads.items()}
    pending = list(reached)
    for _ in range(MAX_INDEX_DEPTH):
        members = requests.map(lambda digest: _members(repository, digest), pending)
        new = {member: reached[digest] for digest, manifests in zip(pending, members) for member in manifests}
        pending = [member for member in new if member not in reached]
        reached.update({member: new[member] for member in pending})
    return reached


def _members(repository: Repository, digest: str) -> list[str]:
    """Return the members of an index; empty for other manifests and missing ones."""
    try:
        return [manifest.digest for manifest in repository.manifest(digest).manifests]
    except NoSuchImageError:
        return []


@dataclass(frozen=True)
class Unpromoter:
    """Reverses promotions to one target.

    :param delete: delete the images too
    :param dry_run: change nothing
    :param verifier: verifies images that tags move to; None if they need no signature
    """

    site: DistributionSite
    target: Target
    destination: RegistryHTTP
    requests: WorkerPool
    journal: Journal
    delete: bool
    dry_run: bool
    verifier: ImageVerifier | None = None

    def unpromote(self, nvr: str) -> PromotionResult:
        """Reverse the promotion of one build; errors are reported in the result."""
        began = time.monotonic()
        result = PromotionResult(nvr)
        try:
            self._unpromote(nvr, result)
        except FedpkgContainerError as error:
            result.fail(error)
        result.seconds = time.monotonic() - began
        return result

    def _unpromote(self, nvr: str, result: PromotionResult) -> None:
        reference, digest = self._find(nvr)
        result.repository, result.digest = str(reference), digest
        if self.delete and self.target.registry == self.site.candidates.registry and not self.target.prefix:
            raise RefusedError(
                f"{reference} is in the candidate registry itself, where Koji expects {nvr}",
                solution="omit --delete, or give the target a prefix",
            )
        repository = Repository(self.destination, reference.repository)
        with self.journal.locks.hold(str(reference)):
            history = self.journal.history(str(reference))  # read again: now locked against changes
            _BuildReversal(self, nvr, digest, repository, history, result).run()

    def _find(self, nvr: str) -> tuple[ImageReference, str]:
        """Return the repository and digest of a build.

        :raises RefusedError: if they are not in the journal
        """
        names = self.journal.index.repositories_of(nvr, self.target.name) if self.journal.index else []
        for name in names:
            reference = ImageReference.parse(name)
            digests = self.journal.history(name).digests(nvr, self.target.name)
            if digests and reference.registry == self.target.registry:
                return reference, digests[0]
        raise RefusedError(
            f"{nvr} was not promoted to {self.target.name} according to {self.journal.path}",
            solution=f"list the promoted builds: fedpkg-container-registry list --to {self.target.name}",
        )


@dataclass(frozen=True)
class _BuildReversal:
    """The reversal of one promotion, while the repository is locked."""

    unpromoter: Unpromoter
    nvr: str
    digest: str
    repository: Repository
    history: RepositoryHistory
    result: PromotionResult

    def run(self) -> None:
        heads = current_digests(self.repository, list(self.repository.tags()), self.unpromoter.requests)
        own_tags = sorted(tag for tag, head in heads.items() if head == self.digest)
        changes = [self._change(tag) for tag in own_tags]
        plan = self._plan_deletion(heads) if self.unpromoter.delete else DeletionPlan((), {})
        self.result.kept = plan.kept
        if plan.digests:
            self._check_shared(changes)
            changes = [
                change if change.what == SET else TagChange(change.tag, self.digest, "", REMOVED) for change in changes
            ]
        self.result.tags, self.result.deleted = changes, plan.digests
        moves = [change for change in changes if change.what == SET]
        self._check_signed(moves)
        has_work = bool(moves or plan.digests)
        self.result.state = (PLANNED if self.unpromoter.dry_run else UNPROMOTED) if has_work else UNCHANGED
        if not self.unpromoter.dry_run and (has_work or self._needs_entry()):
            self.result.deleted = ()
            self._apply(moves, plan, heads)
        self._report_stuck_tags(changes)

    def _needs_entry(self) -> bool:
        """Return whether a journal entry is needed even if the registry needs no change."""
        unfinished = self.history.unfinished.get(self.digest)
        return self.history.is_rollback_target(self.digest) or bool(unfinished and unfinished.what == UNPROMOTE)

    def _change(self, tag: str) -> TagChange:
        """Return the change of a tag of the build."""
        if tag in (parse_nvr(self.nvr).primary_tag, staged_tag(self.digest)):
            return TagChange(tag, self.digest, self.digest, KEPT, "removed only with --delete")
        if tag not in self.history.tags[self.digest][self.unpromoter.target.name]:
            return TagChange(tag, self.digest, self.digest, KEPT, NOT_OURS)
        for before in self.history.before(tag, self.digest):
            if self.repository.head(before):
                name = self.history.builds.get(before, before)
                return TagChange(tag, self.digest, before, SET, f"back to {name}")
        return TagChange(tag, self.digest, self.digest, KEPT, NO_BUILD_BEFORE)

    def _plan_deletion(self, heads: Mapping[str, str]) -> DeletionPlan:
        """Return what is to be deleted, or what an interrupted deletion has left."""
        if not self.repository.head(self.digest):
            unfinished = self.history.unfinished.get(self.digest)
            return resume_deletion(
                self.repository, unfinished.deleted if unfinished else (), heads, self.unpromoter.requests
            )
        deadline = copy_deadline(f"taking {self.nvr} back", self.unpromoter.target.access.timeout)
        copier = ImageCopier(
            self.repository, self.repository, BlobCopier(), self.unpromoter.requests, deadline, partial=True
        )
        return plan_deletion(self.repository, copier.inspect(self.digest), heads, self.unpromoter.requests)

    def _check_signed(self, moves: Sequence[TagChange]) -> None:
        verifier = self.unpromoter.verifier
        if verifier is None:
            return
        for digest in dict.fromkeys(change.after for change in moves):
            status = verifier.verify(self.repository, self.repository.manifest(digest)).status
            if status != SIGNED:
                nvr = self.history.builds.get(digest, digest)
                raise RefusedError(
                    f"{self.repository.reference}@{digest} ({nvr}), to which tags would be moved, is {status}",
                    solution=f"sign it: fedpkg-container-registry promote --to {self.unpromoter.target.name} {nvr}",
                )

    def _check_shared(self, changes: Sequence[TagChange]) -> None:
        shared = [change.tag for change in changes if change.what == KEPT and change.why == NOT_OURS]
        if shared:
            raise RefusedError(
                f"{self.repository.reference}@{self.digest} has tags that were not set by promote and would be deleted"
                f" with it: {' '.join(shared)}",
                solution="move these tags to another image, or omit --delete",
            )

    def _apply(self, moves: Sequence[TagChange], plan: DeletionPlan, heads: Mapping[str, str]) -> None:
        """Move tags and delete manifests, between the two journal entries of the change."""
        entry = JournalEntry.start(
            UNPROMOTE,
            target=self.unpromoter.target.name,
            repository=self.result.repository,
            nvr=self.nvr,
            digest=self.digest,
            tags={**self._interrupted_moves(heads), **{change.tag: change.move for change in moves}},
            deleted=plan.digests,
        )
        self.unpromoter.journal.append(entry)
        tag_updater = TagUpdater(self.repository, NVRLookup(self.repository, self.history.builds), TagRules())
        for change in moves:
            tag_updater.set_tag(change, self.repository.manifest(change.after))
        self._delete(plan)
        if len(self.result.deleted) == len(plan.digests):
            self.unpromoter.journal.append(entry.done())

    def _delete(self, plan: DeletionPlan) -> None:
        """Delete manifests, read them back, and report what was deleted and what was not.

        If the image itself cannot be deleted, the rest of it is kept too.
        """
        refused: dict[str, RegistryError] = {}
        for digest in plan.digests:
            try:
                self.repository.delete_manifest(digest)
            except RegistryUnavailableError:
                raise
            except RegistryError as error:
                refused[digest] = error
                if digest == self.digest:
                    break
                continue
            self.result.deleted = (*self.result.deleted, digest)
            _log.info("deleted %s@%s", self.repository.reference, digest)
        if not refused:
            return
        first = next(iter(refused.values()))
        left = [digest for digest in plan.digests if digest not in self.result.deleted]
        reasons = {
            digest: refused[digest].reason if digest in refused else "its image was not deleted" for digest in left
        }
        self.result.kept = {**self.result.kept, **reasons}
        self.result.tags = [
            TagChange(change.tag, self.digest, self.digest, KEPT, "the image was not deleted")
            if change.what == REMOVED and self.digest in left
            else change
            for change in self.result.tags
        ]
        self.result.state = FAILED
        self.result.error = (
            f"{len(left)} of {len(plan.digests)} manifests of {self.nvr} were not deleted: {first.reason}"
        )
        self.result.solution = first.solution

    def _interrupted_moves(self, heads: Mapping[str, str]) -> dict[str, TagMove]:
        """Return the tags that an interrupted attempt has moved."""
        unfinished = self.history.unfinished.get(self.digest)
        tags = unfinished.tags if unfinished and unfinished.what == UNPROMOTE else {}
        return {tag: move for tag, move in tags.items() if heads.get(tag) == move.after}

    def _report_stuck_tags(self, changes: Sequence[TagChange]) -> None:
        """Report tags that still refer to the build because there is no previous one."""
        stuck = [change.tag for change in changes if change.what == KEPT and change.why == NO_BUILD_BEFORE]
        if stuck and not self.result.error:
            self.result.error = (
                f"{self.nvr} keeps the tags {' '.join(stuck)} of {self.repository.reference}: {NO_BUILD_BEFORE}"
            )
            self.result.solution = "promote another build, or delete the image with its tags: --delete"


def unpromote(
    site: DistributionSite,
    target: Target,
    nvrs: Sequence[str],
    *,
    delete: bool,
    dry_run: bool,
    on_result: Callable[[PromotionResult], None] = lambda _: None,
) -> list[PromotionResult]:
    """Reverse promotions, one after the other; a failure of one does not stop the others.

    :param delete: delete the images too, unless other tags share them
    :param on_result: called for each build as soon as its result is known
    :raises ConfigurationError: if there is no journal, or it cannot be read or written; nothing was done
    """
    journal = Journal(site.journal)
    if journal.path is None:
        raise ConfigurationError(
            "no promotion journal is configured, so the previous builds are unknown",
            solution=f"set [promotion] record in {site.path}",
        )
    journal.repositories()  # raises if it cannot be read
    if not dry_run:
        journal.check()
    verifier = ImageVerifier(target, site_keys(site.signing)) if target.sign else None
    results = []
    with Registry(target.access).http(target.registry) as destination, WorkerPool(REQUESTS) as requests:
        unpromoter = Unpromoter(site, target, destination, requests, journal, delete, dry_run, verifier)
        for nvr in dict.fromkeys(nvrs):
            results.append(unpromoter.unpromote(nvr))
            on_result(results[-1])
    return results
