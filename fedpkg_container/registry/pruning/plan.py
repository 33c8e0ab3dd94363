# SPDX-License-Identifier: GPL-2.0-or-later
"""Plan for one repository: which images are to be deleted, given the retention decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.registry.pruning.inventory import Inventory
from fedpkg_container.registry.pruning.retention import Decision
from fedpkg_container.registry.repository import Repository


@dataclass(frozen=True)
class PrunePlan:
    """What is to be kept and deleted in a repository.

    :param decisions: one per tagged image
    """

    inventory: Inventory
    decisions: Sequence[Decision]

    @cached_property
    def kept_digests(self) -> frozenset[str]:
        """Digests that must not be deleted.

        An artifact, e.g. an SBOM, is kept if its image is, and so is everything in a kept index.
        """
        to_delete = {decision.digest for decision in self.decisions if not decision.keep}
        to_keep = self._reached(digest for digest in self.inventory.roots if digest not in to_delete)
        while True:
            deleted = self._deleted_with(to_delete, to_keep)
            more = to_keep | self._reached(digest for digest in self.inventory.owners if digest not in deleted)
            if more == to_keep:
                return frozenset(to_keep)
            to_keep = more

    def _deleted_with(self, to_delete: Iterable[str], to_keep: set[str]) -> set[str]:
        """Return the digests deleted along with some images: their members and the artifacts of all of these.

        A member that is itself tagged as an artifact is deleted only with its image, inside the index or not.
        """
        deleted: set[str] = set()
        more = self._exclusive(to_delete) - to_keep
        while more:
            deleted |= more
            artifacts = [artifact for artifact, owner in self.inventory.owners.items() if owner in deleted]
            more = self._exclusive(artifacts) - to_keep - deleted
        return deleted

    def _exclusive(self, digests: Iterable[str]) -> set[str]:
        """Return manifests and everything below them, without members that belong to another image."""
        return {reached for digest in digests for reached in self.inventory.reach(digest, self.inventory.owners)}

    def _reached(self, digests: Iterable[str]) -> set[str]:
        return {reached for digest in digests for reached in self.inventory.reach(digest)}

    @property
    def to_delete(self) -> list[Decision]:
        """Images to delete, indexes first, because they may contain other tagged images."""
        images = [
            decision for decision in self.decisions if not decision.keep and decision.digest not in self.kept_digests
        ]
        return sorted(images, key=lambda decision: not self.inventory.manifests[decision.digest].is_index)

    @property
    def to_keep(self) -> list[Decision]:
        """Images to keep, including members of kept indexes."""
        return [self._shared(decision) for decision in self.decisions if decision.digest in self.kept_digests]

    @staticmethod
    def _shared(decision: Decision) -> Decision:
        if decision.keep:
            return decision
        return Decision(decision.digest, decision.tags, True, "part of an image index that is kept", decision.age)


def size(repository: Repository, inventory: Inventory, digest: str) -> int | None:
    """Return the total bytes of layers and configurations of an image or index; None if they cannot be read."""
    blobs: dict[str, int] = {}
    try:
        for reached in inventory.reach(digest):
            manifest = inventory.manifests.get(reached) or repository.manifest(reached)
            blobs.update({blob.digest: blob.size for blob in manifest.blobs})
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return None
    return sum(blobs.values())
