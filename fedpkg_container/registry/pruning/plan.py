"""What a repository holds, and what of it is to be deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.registry.manifests import DEEPEST_LIST, LISTS, Manifest
from fedpkg_container.registry.pruning.retention import Verdict
from fedpkg_container.registry.referrers import fallback_tag, list_tag
from fedpkg_container.registry.repository import Repository

#: Requests at the same time.
PARALLEL = 8
#: The tag that keeps a member of a list found whose list is being deleted.
_MARK = "prune-"


def mark(digest: str) -> str:
    """The tag that an image without one gets before the list goes that it is in: a broken prune finds it by that."""
    return f"{_MARK}{digest.partition(':')[2]}"[:128]


@dataclass(frozen=True)
class Inventory:
    """What a repository held when it was read.

    :param tags: tag → digest
    :param manifests: digest → manifest: of everything tagged, and of lists that lie in lists
    :param empty: tags that lead to nothing, as a registry leaves them that is killed while it deletes
    """

    repository: str
    tags: Mapping[str, str]
    manifests: Mapping[str, Manifest]
    empty: frozenset[str] = frozenset()

    @cached_property
    def by_digest(self) -> Mapping[str, tuple[str, ...]]:
        """Digest → its tags."""
        found: dict[str, list[str]] = {}
        for tag, digest in sorted(self.tags.items()):
            found.setdefault(digest, []).append(tag)
        return {digest: tuple(tags) for digest, tags in found.items()}

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """Digest of what is tagged and belongs to an image → that image; empty when it is not among these."""
        subjects = {fallback_tag(each): each for each in self._known}
        found = {}
        for digest, tags in self.by_digest.items():
            subject = self.manifests[digest].subject
            named = list(filter(None, map(list_tag, tags)))
            if subject:
                found[digest] = subject if subject in self._known else ""
            elif len(named) == len(tags):
                found[digest] = next((subjects[each] for each in named if each in subjects), "")
        return found

    @property
    def roots(self) -> list[str]:
        """What is tagged and belongs to nothing else."""
        return [digest for digest in self.by_digest if digest not in self.owners]

    def reach(self, digest: str, without: Collection[str] = ()) -> list[str]:
        """Return a manifest and everything below it, each before what is below.

        :param without: digests below it that are left out, with what is reached through them alone
        """
        found: dict[str, None] = {}
        waiting = [digest]
        while waiting:
            each = waiting.pop()
            if each not in found and (each == digest or each not in without):
                found[each] = None
                manifest = self.manifests.get(each)
                waiting += [member.digest for member in manifest.manifests] if manifest else []
        return list(found)

    def is_marked(self, digest: str) -> bool:
        """Whether a broken prune left this: it was in a list, and nobody has tagged it."""
        return self.by_digest.get(digest) == (mark(digest),)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(each for digest in self.by_digest for each in self.reach(digest))


def take(repository: Repository) -> Inventory:
    """Read what a repository holds; nothing when it does not exist.

    :raises RegistryError: the registry cannot be reached, or something in it cannot be read
    """
    with ThreadPoolExecutor(PARALLEL) as pool:
        tags = list(repository.tags())
        heads = dict(zip(tags, pool.map(repository.head, tags)))
        tagged = {tag: digest for tag, digest in heads.items() if digest}
        manifests = _manifests(repository, pool, tagged.values())
    present = {tag: digest for tag, digest in tagged.items() if digest in manifests}
    return Inventory(repository.name, present, manifests, frozenset(tags).difference(present))


def _manifests(repository: Repository, pool: ThreadPoolExecutor, digests: Iterable[str]) -> dict[str, Manifest]:
    """Manifests, and those of the lists below them; what has gone meanwhile is left out."""
    found: dict[str, Manifest] = {}
    wanted = list(dict.fromkeys(digests))
    for _ in range(DEEPEST_LIST):
        read = [each for each in pool.map(lambda digest: _manifest(repository, digest), wanted) if each]
        found.update({each.digest: each for each in read})
        below = {member.digest for each in read for member in each.manifests if member.media_type in LISTS}
        wanted = [each for each in below if each not in found]
        if not wanted:
            return found
    raise RegistryError(f"lists in {repository.reference} lie in each other more than {DEEPEST_LIST} deep")


def _manifest(repository: Repository, digest: str) -> Manifest | None:
    try:
        return repository.manifest(digest)
    except NoSuchImageError:
        return None


@dataclass(frozen=True)
class Judgement:
    """What is to become of a repository.

    :param verdicts: one for each image that is tagged
    """

    inventory: Inventory
    verdicts: Sequence[Verdict]

    @cached_property
    def stays(self) -> frozenset[str]:
        """Digests that must not be deleted.

        What belongs to an image (its SBOM) stays when the image does, and with it everything that it lists.
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
        """Return the digests that are deleted with some images: their members, and the artifacts of any of these.

        A member that is itself tagged as an artifact is deleted only with the image that it belongs to: in the list it
        is no more than it is without the list.
        """
        lost: set[str] = set()
        more = self._own(going) - kept
        while more:
            lost |= more
            artifacts = [each for each, owner in self.inventory.owners.items() if owner in lost]
            more = self._own(artifacts) - kept - lost
        return lost

    def _own(self, digests: Iterable[str]) -> set[str]:
        """Return some manifests and everything below them, without members that belong to another image."""
        return {each for digest in digests for each in self.inventory.reach(digest, self.inventory.owners)}

    def _reached(self, digests: Iterable[str]) -> set[str]:
        return {each for digest in digests for each in self.inventory.reach(digest)}

    @property
    def going(self) -> list[Verdict]:
        """The images that are to be deleted: lists first, since what is tagged beside may be in them."""
        found = [each for each in self.verdicts if not each.stays and each.digest not in self.stays]
        return sorted(found, key=lambda each: not self.inventory.manifests[each.digest].is_list)

    @property
    def kept(self) -> list[Verdict]:
        """The images that stay, those included that a list has which stays."""
        return [self._shared(each) for each in self.verdicts if each.digest in self.stays]

    @staticmethod
    def _shared(verdict: Verdict) -> Verdict:
        if verdict.stays:
            return verdict
        return Verdict(verdict.digest, verdict.tags, True, "it is in a list that stays", verdict.age)


def size(repository: Repository, inventory: Inventory, digest: str) -> int | None:
    """Bytes of the layers and configurations of an image, or of all in a list; None when they cannot be read."""
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
