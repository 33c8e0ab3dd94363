"""Plan for one repository: which images are to be deleted, given the retention decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.registry.pruning.inventory import Inventory
from fedpkg_container.registry.pruning.retention import Verdict
from fedpkg_container.registry.repository import Repository


@dataclass(frozen=True)
class Judgement:
    """What is to be kept and deleted in a repository.

    :param decisions: one per tagged image
    """

    inventory: Inventory
    verdicts: Sequence[Verdict]

    @cached_property
    def stays(self) -> frozenset[str]:
        """Digests that must not be deleted.

        An artifact, e.g. an SBOM, is kept if its image is, and so is everything in a kept index.
        """
        going = {each.digest for each in self.verdicts if not each.stays}
        kept = self._reached(digest for digest in self.inventory.roots if digest not in going)
        while True:
            lost = self._lost(going, kept)
            more = kept | self._reached(digest for digest in self.inventory.owners if digest not in lost)
            if more == kept:
                return frozenset(kept)
            kept = more

    def _lost(self, going: Iterable[str], kept: set[str]) -> set[str]:
        """Return the digests deleted along with some images: their members and the artifacts of all of these.

        A member that is itself tagged as an artifact is deleted only with its image, inside the index or not.
        """
        lost: set[str] = set()
        more = self._own(going) - kept
        while more:
            lost |= more
            artifacts = [each for each, owner in self.inventory.owners.items() if owner in lost]
            more = self._own(artifacts) - kept - lost
        return lost

    def _own(self, digests: Iterable[str]) -> set[str]:
        """Return manifests and everything below them, without members that belong to another image."""
        return {each for digest in digests for each in self.inventory.reach(digest, self.inventory.owners)}

    def _reached(self, digests: Iterable[str]) -> set[str]:
        return {each for digest in digests for each in self.inventory.reach(digest)}

    @property
    def going(self) -> list[Verdict]:
        """Images to delete, indexes first, because they may contain other tagged images."""
        found = [each for each in self.verdicts if not each.stays and each.digest not in self.stays]
        return sorted(found, key=lambda each: not self.inventory.manifests[each.digest].is_index)

    @property
    def kept(self) -> list[Verdict]:
        """Images to keep, including members of kept indexes."""
        return [self._shared(each) for each in self.verdicts if each.digest in self.stays]

    @staticmethod
    def _shared(verdict: Verdict) -> Verdict:
        if verdict.stays:
            return verdict
        return Verdict(verdict.digest, verdict.tags, True, "part of an image index that is kept", verdict.age)


def size(repository: Repository, inventory: Inventory, digest: str) -> int | None:
    """Return the total bytes of layers and configurations of an image or index; None if they cannot be read."""
    blobs: dict[str, int] = {}
    try:
        for each in inventory.reach(digest):
            manifest = inventory.manifests.get(each) or repository.manifest(each)
            blobs.update({blob.digest: blob.size for blob in manifest.blobs})
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return None
    return sum(blobs.values())
