"""Reversal of promotions: floating tags are moved back to the previous build, and on request the image is deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, NoSuchImageError, RefusedError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import MAX_INDEX_DEPTH
from fedpkg_container.registry.promotion.copying import Blobs, Content, Copying, copy_deadline
from fedpkg_container.registry.promotion.journal import UNPROMOTE, Entry, History, Move, Record, RepositoryHistory
from fedpkg_container.registry.promotion.nvr_lookup import Identities, parsed
from fedpkg_container.registry.promotion.result import FAILED, PLANNED, REFUSED, UNCHANGED, UNPROMOTED, Outcome
from fedpkg_container.registry.promotion.tagging import KEPT, REMOVED, SET, Rules, TagChange, Tagging
from fedpkg_container.registry.referrers import fallback_tag, fallback_tag_of
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from fedpkg_container.registry.workers import WorkerPool


def heads_of(repository: Repository, tags: Sequence[str], requests: WorkerPool) -> dict[str, str]:
    """Return the current digests of tags; deleted tags are left out."""
    return {tag: head for tag, head in zip(tags, requests.map(repository.head, tags)) if head}


@dataclass(frozen=True)
class Removal:
    """Manifests to delete with an image.

    :param digests: in the order of deletion: the image first, so that no client gets an incomplete one
    :param kept: manifest that belongs to the image and is kept → reason
    """

    digests: tuple[str, ...]
    kept: Mapping[str, str]


def plan_removal(repository: Repository, content: Content, heads: Mapping[str, str], requests: WorkerPool) -> Removal:
    """Return what can be deleted with an image.

    :param content: the image with everything that belongs to it
    :param heads: digest of every tag in the repository
    """
    image = content.manifest.digest
    lists = {fallback_tag(each): each for each in content.digests}
    others = {tag: head for tag, head in heads.items() if head != image and fallback_tag_of(tag) not in lists}
    reached = _reached(repository, others, requests)
    kept: dict[str, str] = {}
    for digest in content.digests:  # artifacts come after their subjects
        if digest != image and digest in reached:
            kept[digest] = f"also referenced by the tag {reached[digest]}"
    for subject, artifacts in content.artifacts.items():
        if subject in kept:
            kept.update({each.digest: f"refers to {subject}, which is kept" for each in artifacts})
    rest = [each for each in content.digests if each != image and each not in kept]
    there = requests.map(repository.head, rest)
    rest = [digest for digest, head in zip(rest, there) if head]
    belonging = {tag: lists[fallback_tag_of(tag)] for tag in heads if fallback_tag_of(tag) in lists}
    tagged = [heads[tag] for tag, subject in belonging.items() if subject not in kept]
    return Removal(tuple(dict.fromkeys([image, *rest, *tagged])), kept)


def go_on(repository: Repository, begun: Sequence[str], heads: Mapping[str, str], requests: WorkerPool) -> Removal:
    """Return what is left of a deletion that was interrupted after the image itself was deleted.

    :param begun: planned deletions, the image first; may be empty
    :param heads: digest of every tag in the repository
    """
    others = {tag: head for tag, head in heads.items() if head not in begun}
    reached = _reached(repository, others, requests)
    there = requests.map(repository.head, begun)
    left = [digest for digest, head in zip(begun, there) if head and digest not in reached]
    return Removal(tuple(dict.fromkeys([*begun[:1], *left])), {})


def _reached(repository: Repository, heads: Mapping[str, str], requests: WorkerPool) -> dict[str, str]:
    """Return digests reachable from tags → one of these tags."""
    reached = {head: tag for tag, head in heads.items()}
    frontier = list(reached)
    for _ in range(MAX_INDEX_DEPTH):
        members = requests.map(lambda digest: _members(repository, digest), frontier)
        found = {member: reached[digest] for digest, listed in zip(frontier, members) for member in listed}
        frontier = [each for each in found if each not in reached]
        reached.update({each: found[each] for each in frontier})
    return reached


def _members(repository: Repository, digest: str) -> list[str]:
    """Return the members of an index; empty for other manifests and missing ones."""
    try:
        return [each.digest for each in repository.manifest(digest).manifests]
    except NoSuchImageError:
        return []


REQUESTS = 8
#: Reasons for keeping a tag.
NOT_OURS = "it was not set by promote"
NO_BUILD_BEFORE = "there is no previous build"


@dataclass(frozen=True)
class TakingBack:
    """Reverses promotions to one target.

    :param delete: delete the images too
    :param dry_run: change nothing
    """

    site: DistributionSite
    target: Target
    destination: RegistryHTTP
    requests: WorkerPool
    record: Record
    delete: bool
    dry_run: bool

    def unpromote(self, nvr: str) -> Outcome:
        """Reverse the promotion of one build; errors are reported in the result."""
        began = time.monotonic()
        outcome = Outcome(nvr)
        try:
            self._unpromote(nvr, outcome)
        except FedpkgContainerError as error:
            outcome.state = REFUSED if isinstance(error, RefusedError) else FAILED
            outcome.error, outcome.solution = error.reason, error.solution
        outcome.seconds = time.monotonic() - began
        return outcome

    def _unpromote(self, nvr: str, outcome: Outcome) -> None:
        place, digest = self._place(nvr, History(self.record.entries()))
        outcome.repository, outcome.digest = str(place), digest
        if self.delete and self.target.registry == self.site.candidates.registry and not self.target.prefix:
            raise RefusedError(
                f"{place} is in the candidate registry itself, where Koji expects {nvr}",
                solution="omit --delete, or give the target a prefix",
            )
        repository = Repository(self.destination, place.repository)
        with self.record.locks.held(str(place)):
            history = History(self.record.entries()).of(str(place))  # read again: now locked against changes
            _Build(self, nvr, digest, repository, history, outcome).take_back()

    def _place(self, nvr: str, history: History) -> tuple[ImageReference, str]:
        """Return the repository and digest of a build.

        :raises RefusedError: if they are not in the journal
        """
        for name in history.repositories():
            place = ImageReference.parse(name)
            digests = history.of(name).digests(nvr, self.target.name)
            if digests and place.registry == self.target.registry:
                return place, digests[0]
        raise RefusedError(
            f"{nvr} was not promoted to {self.target.name} according to {self.record.path}",
            solution=f"list the promoted builds: fedpkg-container-registry list --to {self.target.name}",
        )


@dataclass(frozen=True)
class _Build:
    """The reversal of one promotion, while the repository is locked."""

    way: TakingBack
    nvr: str
    digest: str
    repository: Repository
    history: RepositoryHistory
    outcome: Outcome

    def take_back(self) -> None:
        heads = heads_of(self.repository, list(self.repository.tags()), self.way.requests)
        own = sorted(tag for tag, head in heads.items() if head == self.digest)
        changes = [self._change(tag) for tag in own]
        removal = self._removal(heads) if self.way.delete else Removal((), {})
        self.outcome.kept = removal.kept
        if removal.digests:
            self._refuse_shared(changes)
            changes = [each if each.what == SET else TagChange(each.tag, self.digest, "", REMOVED) for each in changes]
        self.outcome.tags, self.outcome.deleted = changes, removal.digests
        moved = [each for each in changes if each.what == SET]
        has_work = bool(moved or removal.digests)
        self.outcome.state = (PLANNED if self.way.dry_run else UNPROMOTED) if has_work else UNCHANGED
        if not self.way.dry_run and (has_work or self._is_remembered()):
            self._carry_out(moved, removal, heads)
        self._complain_of_stuck(changes)

    def _is_remembered(self) -> bool:
        """Return whether a journal entry is needed even if the registry needs no change."""
        begun = self.history.unfinished.get(self.digest)
        return self.history.would_forget(self.digest) or bool(begun and begun.what == UNPROMOTE)

    def _change(self, tag: str) -> TagChange:
        """Return the change of a tag of the build."""
        if tag == parsed(self.nvr).primary_tag:
            return TagChange(tag, self.digest, self.digest, KEPT, "removed only with --delete")
        if tag not in self.history.tags[self.digest][self.way.target.name]:
            return TagChange(tag, self.digest, self.digest, KEPT, NOT_OURS)
        for before in self.history.before(tag, self.digest):
            if self.repository.head(before):
                name = self.history.builds.get(before, before)
                return TagChange(tag, self.digest, before, SET, f"back to {name}")
        return TagChange(tag, self.digest, self.digest, KEPT, NO_BUILD_BEFORE)

    def _removal(self, heads: Mapping[str, str]) -> Removal:
        """Return what is to be deleted, or what an interrupted deletion has left."""
        if not self.repository.head(self.digest):
            begun = self.history.unfinished.get(self.digest)
            return go_on(self.repository, begun.deleted if begun else (), heads, self.way.requests)
        deadline = copy_deadline(f"taking {self.nvr} back", self.way.target.access.timeout)
        looking = Copying(self.repository, self.repository, Blobs(), self.way.requests, deadline, partial=True)
        return plan_removal(self.repository, looking.survey(self.digest), heads, self.way.requests)

    def _refuse_shared(self, changes: Sequence[TagChange]) -> None:
        shared = [each.tag for each in changes if each.what == KEPT and each.why == NOT_OURS]
        if shared:
            raise RefusedError(
                f"{self.repository.reference}@{self.digest} has tags that were not set by promote and would be deleted"
                f" with it: {' '.join(shared)}",
                solution="move these tags to another image, or omit --delete",
            )

    def _carry_out(self, moved: Sequence[TagChange], removal: Removal, heads: Mapping[str, str]) -> None:
        """Move tags and delete manifests, between the two journal entries of the change."""
        entry = Entry.begin(
            UNPROMOTE,
            target=self.way.target.name,
            repository=self.outcome.repository,
            nvr=self.nvr,
            digest=self.digest,
            tags={**self._begun_before(heads), **{each.tag: each.move for each in moved}},
            deleted=removal.digests,
        )
        self.way.record.append(entry)
        tagging = Tagging(self.repository, Identities(self.repository, self.history.builds), Rules())
        for change in moved:
            tagging.set(change, self.repository.manifest(change.after))
        for digest in removal.digests:
            self.repository.delete_manifest(digest)
        self.way.record.append(entry.done())

    def _begun_before(self, heads: Mapping[str, str]) -> dict[str, Move]:
        """Return the tags that an interrupted attempt has moved."""
        begun = self.history.unfinished.get(self.digest)
        tags = begun.tags if begun and begun.what == UNPROMOTE else {}
        return {tag: move for tag, move in tags.items() if heads.get(tag) == move.after}

    def _complain_of_stuck(self, changes: Sequence[TagChange]) -> None:
        """Report tags that still refer to the build because there is no previous one."""
        stuck = [each.tag for each in changes if each.what == KEPT and each.why == NO_BUILD_BEFORE]
        if stuck:
            self.outcome.error = (
                f"{self.nvr} keeps the tags {' '.join(stuck)} of {self.repository.reference}: {NO_BUILD_BEFORE}"
            )
            self.outcome.solution = "promote another build, or delete the image with its tags: --delete"


def unpromote(
    site: DistributionSite,
    target: Target,
    nvrs: Sequence[str],
    *,
    delete: bool,
    dry_run: bool,
    told: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Reverse promotions, one after the other; a failure of one does not stop the others.

    :param delete: delete the images too, unless other tags share them
    :param on_result: called for each build as soon as its result is known
    :raises ConfigurationError: if there is no journal, or it cannot be read or written; nothing was done
    """
    record = Record(site.record)
    if record.path is None:
        raise ConfigurationError(
            "no promotion journal is configured, so the previous builds are unknown",
            solution=f"set [promotion] record in {site.path}",
        )
    record.entries()
    if not dry_run:
        record.check()
    outcomes = []
    with Registry(target.access).http(target.registry) as destination, WorkerPool(REQUESTS) as requests:
        way = TakingBack(site, target, destination, requests, record, delete, dry_run)
        for nvr in dict.fromkeys(nvrs):
            outcomes.append(way.unpromote(nvr))
            told(outcomes[-1])
    return outcomes
