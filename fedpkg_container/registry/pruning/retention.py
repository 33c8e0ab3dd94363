"""Retention policy: decides which images are kept: needed by Koji, by a running task or by a target, or recent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.model.koji_images import Record, Records, TaskRecord
from fedpkg_container.model.reference import IMPORT, SCRATCH, UniqueTag
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.pruning.inventory import Inventory, take
from fedpkg_container.registry.repository import Repository

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Verdict:
    """Decision about an image.

    :param tags: all of its tags
    :param keep: whether it is kept
    :param why: reason, as part of a sentence
    :param age: seconds; None if unknown
    """

    digest: str
    tags: tuple[str, ...]
    stays: bool
    why: str
    age: float | None = None

    @property
    def is_ageless(self) -> bool:
        """Whether it is kept only because its age is unknown."""
        return self.stays and self.age is None and self.why == AGELESS


AGELESS = "age unknown"


@dataclass(frozen=True)
class Needs:
    """Everything that the decision depends on.

    :param targets: targets with their registries
    :param now: seconds since the epoch
    :param keep: retention period of unneeded images, seconds
    """

    records: Records
    targets: Sequence[tuple[Target, RegistryHTTP]]
    now: float
    keep: float

    def verdicts(self, inventory: Inventory) -> list[Verdict]:
        """Decide about each image of a repository.

        :raises RegistryError: if a target cannot be read
        :raises LostContactError: if Koji cannot be reached
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
        records: Mapping[str, Record],
    ) -> Verdict:
        tags = inventory.by_digest[digest]
        own = records.get(digest, Record())
        made = own.completed or max((each.made for each in stamps), default=None)
        age = None if made is None else self.now - made
        needed = [records[each].needed for each in inventory.reach(digest) if each in records]
        reason = next(filter(None, needed), "")
        if reason:
            return Verdict(digest, tags, True, reason, age)
        for each in stamps:
            if each.number in tasks and not tasks[each.number].ended:
                return Verdict(digest, tags, True, f"task {each.number} is building it", age)
        if inventory.is_marked(digest):
            return Verdict(digest, tags, False, "left by an interrupted prune", age)
        if age is None:
            return Verdict(digest, tags, True, AGELESS)
        if age < self.keep:
            return Verdict(digest, tags, True, "newer than the retention period", age)
        return Verdict(digest, tags, False, _what(own, stamps), age)

    def _promoted(self, name: str) -> dict[str, str]:
        """Return digests reachable from tags in the targets, each with the reason to keep it."""
        found = {}
        for target, http in self.targets:
            held = take(Repository(http, target.repository(name).repository))
            for tag, digest in held.tags.items():
                found.update(dict.fromkeys(held.reach(digest), f"{target.name} has it as {held.repository}:{tag}"))
        return found


def _stamps(tags: Iterable[str]) -> list[UniqueTag]:
    return [found for found in map(UniqueTag.read, tags) if found]


def _trusted(stamps: Iterable[UniqueTag], tasks: Mapping[int, TaskRecord]) -> list[UniqueTag]:
    """Return the unique tags: version and date look the same, but no task of that number builds containers."""
    return [each for each in stamps if each.kind or each.number not in tasks or tasks[each.number].builds]


def _what(record: Record, stamps: Sequence[UniqueTag]) -> str:
    if record.nvrs:
        return f"{record.nvrs[0]} is in no Koji tag"
    newest = max(stamps, key=lambda each: each.made)
    if newest.kind == IMPORT:
        return "interrupted import"
    kind = "scratch build" if newest.kind == SCRATCH else "not recorded in any build"
    return f"{kind}, task {newest.number}"


def _unless_promoted(verdict: Verdict, inventory: Inventory, promoted: Mapping[str, str]) -> Verdict:
    for digest in inventory.reach(verdict.digest):
        if digest in promoted:
            return Verdict(verdict.digest, verdict.tags, True, promoted[digest], verdict.age)
    return verdict
