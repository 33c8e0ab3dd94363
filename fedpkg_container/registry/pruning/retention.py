"""Who needs an image: Koji, a task that runs, a tag of a registry to which it was promoted, or its own youth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.model.koji_images import ImageRecord, ImageRecords, TaskRecord
from fedpkg_container.model.reference import IMPORT, SCRATCH, UniqueTag
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.pruning.inventory import Inventory, take
from fedpkg_container.registry.repository import Repository

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Verdict:
    """What is to become of an image, and why.

    :param tags: all of its tags
    :param stays: whether it is kept
    :param why: a part of a sentence
    :param age: seconds; None when it cannot be known
    """

    digest: str
    tags: tuple[str, ...]
    stays: bool
    why: str
    age: float | None = None

    @property
    def is_ageless(self) -> bool:
        """Whether it stays only because nobody knows how old it is."""
        return self.stays and self.age is None and self.why == AGELESS


AGELESS = "nothing says how old it is"


@dataclass(frozen=True)
class Needs:
    """Everything that may need an image.

    :param targets: where images are promoted to, and the registry of each
    :param now: seconds since the epoch
    :param keep: seconds for which an image stays that nobody needs
    """

    records: ImageRecords
    targets: Sequence[tuple[Target, RegistryHTTP]]
    now: float
    keep: float

    def verdicts(self, inventory: Inventory) -> list[Verdict]:
        """What is to become of each image of a repository, as of now.

        :raises RegistryError: a target cannot be read
        :raises LostContactError: Koji cannot be reached
        """
        stamps = {digest: _stamps(inventory.by_digest[digest]) for digest in inventory.roots}
        numbers = {each.number for found in stamps.values() for each in found if each.kind != IMPORT}
        tasks = self.records.tasks(numbers)
        reached = {each for digest in inventory.roots for each in inventory.reach(digest)}
        records = self.records.images(reached, self.now - self.keep)
        found = [
            self._verdict(inventory, digest, _trusted(stamps[digest], tasks), tasks, records)
            for digest in inventory.roots
        ]
        if all(each.stays for each in found):
            return found
        promoted = self._promoted(inventory.repository)
        return [each if each.stays else _unless_promoted(each, inventory, promoted) for each in found]

    def _verdict(
        self,
        inventory: Inventory,
        digest: str,
        stamps: Sequence[UniqueTag],
        tasks: Mapping[int, TaskRecord],
        records: Mapping[str, ImageRecord],
    ) -> Verdict:
        tags = inventory.by_digest[digest]
        own = records.get(digest, ImageRecord())
        made = own.completed or max((each.created for each in stamps), default=None)
        age = None if made is None else self.now - made
        needed = [records[each].needed for each in inventory.reach(digest) if each in records]
        reason = next(filter(None, needed), "")
        if reason:
            return Verdict(digest, tags, True, reason, age)
        for each in stamps:
            if each.number in tasks and not tasks[each.number].ended:
                return Verdict(digest, tags, True, f"task {each.number} builds it", age)
        if inventory.is_marked(digest):
            return Verdict(digest, tags, False, "an earlier prune was broken off", age)
        if age is None:
            return Verdict(digest, tags, True, AGELESS)
        if age < self.keep:
            return Verdict(digest, tags, True, "it is young", age)
        return Verdict(digest, tags, False, _what(own, stamps), age)

    def _promoted(self, name: str) -> dict[str, str]:
        """Digests that the tags of the targets reach, and one such tag of each."""
        found = {}
        for target, http in self.targets:
            held = take(Repository(http, target.repository(name).repository))
            for tag, digest in held.tags.items():
                found.update(dict.fromkeys(held.reach(digest), f"{target.name} has it as {held.repository}:{tag}"))
        return found


def _stamps(tags: Iterable[str]) -> list[UniqueTag]:
    return [found for found in map(UniqueTag.read, tags) if found]


def _trusted(stamps: Iterable[UniqueTag], tasks: Mapping[int, TaskRecord]) -> list[UniqueTag]:
    """Those that are unique tags: a version and a date look the same, but no task of that number builds containers."""
    return [each for each in stamps if each.kind or each.number not in tasks or tasks[each.number].builds]


def _what(record: ImageRecord, stamps: Sequence[UniqueTag]) -> str:
    if record.nvrs:
        return f"{record.nvrs[0]} is in no tag of Koji"
    newest = max(stamps, key=lambda each: each.created)
    if newest.kind == IMPORT:
        return "an import that was broken off"
    kind = "a scratch build" if newest.kind == SCRATCH else "recorded in no build"
    return f"{kind}, of task {newest.number}"


def _unless_promoted(verdict: Verdict, inventory: Inventory, promoted: Mapping[str, str]) -> Verdict:
    for digest in inventory.reach(verdict.digest):
        if digest in promoted:
            return Verdict(verdict.digest, verdict.tags, True, promoted[digest], verdict.age)
    return verdict
