"""Taking promoted builds back: floating tags go to the build before, and on request the image is deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, NoSuchImageError, RefusedError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.config import DistributionSite, Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import DEEPEST_LIST
from fedpkg_container.registry.promotion.copying import Blobs, Content, Copying, copy_deadline
from fedpkg_container.registry.promotion.journal import UNPROMOTE, Entry, History, Move, Record, RepositoryHistory
from fedpkg_container.registry.promotion.nvr_lookup import Identities, parsed
from fedpkg_container.registry.promotion.result import FAILED, PLANNED, REFUSED, UNCHANGED, UNPROMOTED, Outcome
from fedpkg_container.registry.promotion.tagging import KEPT, REMOVED, SET, Rules, TagChange, Tagging
from fedpkg_container.registry.promotion.workers import Workers
from fedpkg_container.registry.referrers import fallback_tag, list_tag
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry


def heads_of(repository: Repository, tags: Sequence[str], requests: Workers) -> dict[str, str]:
    """What some tags of a repository point to in this moment; one that goes meanwhile is left out."""
    return {tag: head for tag, head in zip(tags, requests.each(repository.head, tags)) if head}


@dataclass(frozen=True)
class Removal:
    """What goes with an image.

    :param digests: in the order in which they are deleted: the image first, so that nobody gets half of it
    :param kept: what belongs to it and stays → why
    """

    digests: tuple[str, ...]
    kept: Mapping[str, str]


def plan_removal(repository: Repository, content: Content, heads: Mapping[str, str], requests: Workers) -> Removal:
    """See what can be deleted with an image.

    :param content: the image, with what belongs to it
    :param heads: what every tag of the repository points to
    """
    image = content.manifest.digest
    lists = {fallback_tag(each): each for each in content.digests}
    others = {tag: head for tag, head in heads.items() if head != image and list_tag(tag) not in lists}
    reached = _reached(repository, others, requests)
    kept: dict[str, str] = {}
    for digest in content.digests:  # artifacts come after what they are about
        if digest != image and digest in reached:
            kept[digest] = f"the tag {reached[digest]} has it too"
    for subject, artifacts in content.artifacts.items():
        if subject in kept:
            kept.update({each.digest: f"it is about {subject}, which stays" for each in artifacts})
    rest = [each for each in content.digests if each != image and each not in kept]
    there = requests.each(repository.head, rest)
    rest = [digest for digest, head in zip(rest, there) if head]
    belonging = {tag: lists[list_tag(tag)] for tag in heads if list_tag(tag) in lists}
    tagged = [heads[tag] for tag, subject in belonging.items() if subject not in kept]
    return Removal(tuple(dict.fromkeys([image, *rest, *tagged])), kept)


def go_on(repository: Repository, begun: Sequence[str], heads: Mapping[str, str], requests: Workers) -> Removal:
    """What an attempt has left that was interrupted when the image itself was gone already.

    :param begun: what was going to be deleted, the image first; empty where nothing was begun
    :param heads: what every tag of the repository points to
    """
    others = {tag: head for tag, head in heads.items() if head not in begun}
    reached = _reached(repository, others, requests)
    there = requests.each(repository.head, begun)
    left = [digest for digest, head in zip(begun, there) if head and digest not in reached]
    return Removal(tuple(dict.fromkeys([*begun[:1], *left])), {})


def _reached(repository: Repository, heads: Mapping[str, str], requests: Workers) -> dict[str, str]:
    """The digests that some tags reach → one of these tags."""
    reached = {head: tag for tag, head in heads.items()}
    frontier = list(reached)
    for _ in range(DEEPEST_LIST):
        members = requests.each(lambda digest: _members(repository, digest), frontier)
        found = {member: reached[digest] for digest, listed in zip(frontier, members) for member in listed}
        frontier = [each for each in found if each not in reached]
        reached.update({each: found[each] for each in frontier})
    return reached


def _members(repository: Repository, digest: str) -> list[str]:
    """What a list holds; nothing for another manifest, or one that is gone."""
    try:
        return [each.digest for each in repository.manifest(digest).manifests]
    except NoSuchImageError:
        return []


REQUESTS = 8
#: Why a tag stays.
NOT_OURS = "promote did not set it"
NO_BUILD_BEFORE = "there is no earlier build to go back to"


@dataclass(frozen=True)
class TakingBack:
    """Takes builds back from one target.

    :param delete: the images too
    :param dry_run: change nothing
    """

    site: DistributionSite
    target: Target
    destination: RegistryHTTP
    requests: Workers
    record: Record
    delete: bool
    dry_run: bool

    def unpromote(self, nvr: str) -> Outcome:
        """Take one build back, or say why not."""
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
                f"{place} is in the candidate registry itself, where Koji looks for {nvr}",
                solution="leave --delete out, or give the target a prefix",
            )
        repository = Repository(self.destination, place.repository)
        with self.record.locks.held(str(place)):
            history = History(self.record.entries()).of(str(place))  # nobody changes it from here on
            _Build(self, nvr, digest, repository, history, outcome).take_back()

    def _place(self, nvr: str, history: History) -> tuple[ImageReference, str]:
        """The repository and the digest of a build.

        :raises RefusedError: the record does not know them
        """
        for name in history.repositories():
            place = ImageReference.parse(name)
            digests = history.of(name).digests(nvr, self.target.name)
            if digests and place.registry == self.target.registry:
                return place, digests[0]
        raise RefusedError(
            f"{nvr} was not promoted to {self.target.name}, as far as {self.record.path} says",
            solution=f"see what is there: fedpkg-container-registry list --to {self.target.name}",
        )


@dataclass(frozen=True)
class _Build:
    """One build that is taken back; others that use the record wait meanwhile."""

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
        """Whether the record has to be told, even where the registry is as it should be."""
        begun = self.history.unfinished.get(self.digest)
        return self.history.would_forget(self.digest) or bool(begun and begun.what == UNPROMOTE)

    def _change(self, tag: str) -> TagChange:
        """What becomes of a tag that points to the build."""
        if tag == parsed(self.nvr).primary_tag:
            return TagChange(tag, self.digest, self.digest, KEPT, "only --delete takes it away")
        if tag not in self.history.tags[self.digest][self.way.target.name]:
            return TagChange(tag, self.digest, self.digest, KEPT, NOT_OURS)
        for before in self.history.before(tag, self.digest):
            if self.repository.head(before):
                name = self.history.builds.get(before, before)
                return TagChange(tag, self.digest, before, SET, f"it goes back to {name}")
        return TagChange(tag, self.digest, self.digest, KEPT, NO_BUILD_BEFORE)

    def _removal(self, heads: Mapping[str, str]) -> Removal:
        """What is to be deleted; what an attempt that was interrupted began to delete is gone on with."""
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
                f"{self.repository.reference}@{self.digest} has tags that promote did not set, and that would be"
                f" deleted with it: {' '.join(shared)}",
                solution="give these tags to another image, or leave --delete out",
            )

    def _carry_out(self, moved: Sequence[TagChange], removal: Removal, heads: Mapping[str, str]) -> None:
        """Move tags and delete, between the two lines of the record."""
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
        """The tags that an attempt has moved which was interrupted before it could record that."""
        begun = self.history.unfinished.get(self.digest)
        tags = begun.tags if begun and begun.what == UNPROMOTE else {}
        return {tag: move for tag, move in tags.items() if heads.get(tag) == move.after}

    def _complain_of_stuck(self, changes: Sequence[TagChange]) -> None:
        """Say which tags still point to the build, though they should not."""
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
    """Take builds back, one after the other; what becomes of one does not stop the others.

    :param delete: delete their images too, as far as no other tag shares them
    :param told: called for each build as soon as it is known what became of it
    :raises ConfigurationError: there is no record, or it cannot be read or written; nothing was done
    """
    record = Record(site.record)
    if record.path is None:
        raise ConfigurationError(
            "there is no record of what was promoted, so nobody knows the builds before",
            solution=f"set [promotion] record in {site.path}",
        )
    record.entries()
    if not dry_run:
        record.check()
    outcomes = []
    with Registry(target.access).http(target.registry) as destination, Workers(REQUESTS) as requests:
        way = TakingBack(site, target, destination, requests, record, delete, dry_run)
        for nvr in dict.fromkeys(nvrs):
            outcomes.append(way.unpromote(nvr))
            told(outcomes[-1])
    return outcomes
