"""Deleting images of a repository, in an order in which nothing is ever half: what names something goes before it.

A registry finds nothing that has no tag and is in no list. So before a list goes, its members get a tag each (by
which a broken prune is found and finished), and what belongs to an image goes before the image by which it is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fedpkg_container.errors import FedpkgContainerError, NoSuchImageError
from fedpkg_container.registry.manifests import DEEPEST_LIST
from fedpkg_container.registry.pruning.inventory import mark
from fedpkg_container.registry.pruning.judgement import Judgement
from fedpkg_container.registry.pruning.needs import Verdict
from fedpkg_container.registry.referrers import fallback_tag, referrers
from fedpkg_container.registry.repository import Repository


class ChangedError(FedpkgContainerError):
    """A repository is not any more what it was when it was judged."""


@dataclass
class Deletion:
    """Deletes what was judged.

    :param after: called after each request that changed something: a place where tests stop it
    """

    repository: Repository
    judgement: Judgement
    after: Callable[[str], None] = lambda _: None
    _marks: set[str] = field(default_factory=set)

    def delete(self, image: Verdict) -> None:
        """Delete an image, with what only it has.

        :raises ChangedError: somebody has changed the repository meanwhile; the image is still there
        :raises RegistryError: the registry cannot be reached, or refuses
        """
        self._check(image)
        below = [each for each in self.judgement.inventory.reach(image.digest)[1:] if self._goes(each)]
        for each in below:
            self._mark(each)
        self._delete(image.digest)
        for each in below:
            self._delete(each)

    def _goes(self, digest: str) -> bool:
        return digest not in self.judgement.stays

    def _check(self, image: Verdict) -> None:
        """Look once more whether everything is as it was."""
        inventory = self.judgement.inventory
        new = set(self.repository.tags()) - set(inventory.tags) - self._marks
        new = {tag for tag in new if tag not in inventory.empty or self.repository.head(tag)}
        if new:
            raise ChangedError(f"{self.repository.reference} has a new tag, {sorted(new)[0]}")
        for tag in image.tags:
            if self.repository.head(tag) not in (image.digest, ""):
                raise ChangedError(f"{self.repository.reference}:{tag} has been moved")

    def _mark(self, digest: str) -> None:
        if digest in self.judgement.inventory.by_digest:
            return
        try:
            manifest = self.repository.manifest(digest)
        except NoSuchImageError:
            return
        self._marks.add(mark(digest))
        self.repository.put_manifest(mark(digest), manifest)
        self.after(f"marked {digest}")

    def _delete(self, digest: str, depth: int = 0) -> None:
        """Delete a manifest, after what belongs to it."""
        if depth < DEEPEST_LIST:
            for each in self._belonging(digest):
                self._delete(each, depth + 1)
        if self.repository.delete_manifest(digest):
            self.after(f"deleted {digest}")

    def _belonging(self, digest: str) -> list[str]:
        """What belongs to an image, the list under its tag last: by that it is found."""
        found = [each.digest for each in referrers(self.repository, digest)]
        found += [each for each, owner in self.judgement.inventory.owners.items() if owner == digest]
        listed = self.repository.head(fallback_tag(digest))
        first = dict.fromkeys(each for each in found if each != listed)
        return [each for each in (*first, listed) if each and each != digest and self._goes(each)]
