# SPDX-License-Identifier: GPL-2.0-or-later
"""Retention policy: decides which images are kept: needed by Koji, by a running task or by a target, or recent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedpkg_container.model.koji_images import ImageRecord, ImageRecords, TaskRecord
from fedpkg_container.model.reference import IMPORT, SCRATCH, UniqueTag
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.pruning.inventory import Inventory, read_inventory
from fedpkg_container.registry.repository import Repository

DAY = 24 * 3600.0
AGE_UNKNOWN = "age unknown"


@dataclass(frozen=True)
class Decision:
    """Decision about an image.

    :param tags: all of its tags
    :param keep: whether it is kept
    :param why: reason, as part of a sentence
    :param age: seconds; None if unknown
    """

    digest: str
    tags: tuple[str, ...]
    keep: bool
    why: str
    age: float | None = None

    @property
    def is_age_unknown(self) -> bool:
        """Whether it is kept only because its age is unknown."""
        return self.keep and self.age is None and self.why == AGE_UNKNOWN


@dataclass(frozen=True)
class RetentionPolicy:
    """Everything that the decision depends on.

    :param targets: targets with their registries
    :param now: seconds since the epoch
    :param keep: retention period of unneeded images, seconds
    """

    records: ImageRecords
    targets: Sequence[tuple[Target, RegistryHTTP]]
    now: float
    keep: float

    def decide(self, inventory: Inventory) -> list[Decision]:
        """Decide about each image of a repository.

        :raises RegistryError: if a target cannot be read
        :raises LostContactError: if Koji cannot be reached
        """
        unique_tags = {digest: _unique_tags(inventory.by_digest[digest]) for digest in inventory.roots}
        numbers = {tag.number for tags in unique_tags.values() for tag in tags if tag.kind != IMPORT}
        tasks = self.records.tasks(numbers)
        reached = {reached for digest in inventory.roots for reached in inventory.reach(digest)}
        records = self.records.images(reached, self.now - self.keep)
        decisions = [
            self._decide(inventory, digest, _confirmed(unique_tags[digest], tasks), tasks, records)
            for digest in inventory.roots
        ]
        if all(decision.keep for decision in decisions):
            return decisions
        reasons = self._reachable_from_targets(inventory.repository)
        return [
            decision if decision.keep else _unless_reachable(decision, inventory, reasons) for decision in decisions
        ]

    def _decide(
        self,
        inventory: Inventory,
        digest: str,
        unique_tags: Sequence[UniqueTag],
        tasks: Mapping[int, TaskRecord],
        records: Mapping[str, ImageRecord],
    ) -> Decision:
        tags = inventory.by_digest[digest]
        record = records.get(digest, ImageRecord())
        created = record.completed or max((unique_tag.created for unique_tag in unique_tags), default=None)
        age = None if created is None else self.now - created
        reasons_to_keep = [records[reached].needed for reached in inventory.reach(digest) if reached in records]
        reason = next(filter(None, reasons_to_keep), "")
        if reason:
            return Decision(digest, tags, True, reason, age)
        for unique_tag in unique_tags:
            if unique_tag.number in tasks and not tasks[unique_tag.number].ended:
                return Decision(digest, tags, True, f"task {unique_tag.number} is building it", age)
        if inventory.has_temporary_tag(digest):
            return Decision(digest, tags, False, "left by an interrupted prune", age)
        if age is None:
            return Decision(digest, tags, True, AGE_UNKNOWN)
        if age < self.keep:
            return Decision(digest, tags, True, "newer than the retention period", age)
        return Decision(digest, tags, False, _reason_to_delete(record, unique_tags), age)

    def _reachable_from_targets(self, name: str) -> dict[str, str]:
        """Return digests reachable from tags in the targets, each with the reason to keep it."""
        reasons = {}
        for target, http in self.targets:
            target_inventory = read_inventory(Repository(http, target.repository(name).repository))
            for tag, digest in target_inventory.tags.items():
                reasons.update(
                    dict.fromkeys(
                        target_inventory.reach(digest), f"{target.name} has it as {target_inventory.repository}:{tag}"
                    )
                )
        return reasons


def _unique_tags(tags: Iterable[str]) -> list[UniqueTag]:
    return [unique_tag for unique_tag in map(UniqueTag.read, tags) if unique_tag]


def _confirmed(unique_tags: Iterable[UniqueTag], tasks: Mapping[int, TaskRecord]) -> list[UniqueTag]:
    """Return the unique tags: version and date look the same, but no task of that number builds containers."""
    return [
        unique_tag
        for unique_tag in unique_tags
        if unique_tag.kind or unique_tag.number not in tasks or tasks[unique_tag.number].builds
    ]


def _reason_to_delete(record: ImageRecord, unique_tags: Sequence[UniqueTag]) -> str:
    if record.nvrs:
        return f"{record.nvrs[0]} is in no Koji tag"
    newest = max(unique_tags, key=lambda unique_tag: unique_tag.created)
    if newest.kind == IMPORT:
        return "interrupted import"
    kind = "scratch build" if newest.kind == SCRATCH else "not recorded in any build"
    return f"{kind}, task {newest.number}"


def _unless_reachable(decision: Decision, inventory: Inventory, reasons: Mapping[str, str]) -> Decision:
    for digest in inventory.reach(decision.digest):
        if digest in reasons:
            return Decision(decision.digest, decision.tags, True, reasons[digest], decision.age)
    return decision
