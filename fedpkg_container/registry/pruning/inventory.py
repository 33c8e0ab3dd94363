# SPDX-License-Identifier: GPL-2.0-or-later
"""Inventory of a repository: its tags, manifests, and which artifact belongs to which image."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry.manifests import INDEX_MEDIA_TYPES, MAX_INDEX_DEPTH, Manifest
from fedpkg_container.registry.referrers import fallback_tag, fallback_tag_of
from fedpkg_container.registry.repository import Repository

#: Number of concurrent requests.
PARALLEL = 8


#: Prefix of temporary tags for members of an index that is being deleted.
_MARK = "prune-"


def temporary_tag(digest: str) -> str:
    """Return the temporary tag of an untagged member while its index is deleted, so that a later prune can find it."""
    return f"{_MARK}{digest.partition(':')[2]}"[:128]


@dataclass(frozen=True)
class Inventory:
    """The contents of a repository.

    :param tags: tag → digest
    :param manifests: digest → manifest, of everything tagged and of nested indexes
    :param empty: tags without a manifest, as a registry leaves them if it is killed during a deletion
    """

    repository: str
    tags: Mapping[str, str]
    manifests: Mapping[str, Manifest]
    empty: frozenset[str] = frozenset()

    @cached_property
    def by_digest(self) -> Mapping[str, tuple[str, ...]]:
        """Digest → its tags."""
        tags_of: dict[str, list[str]] = {}
        for tag, digest in sorted(self.tags.items()):
            tags_of.setdefault(digest, []).append(tag)
        return {digest: tuple(tags) for digest, tags in tags_of.items()}

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """Digest of a tagged artifact → its image; empty if the image is not in the repository."""
        subjects = {fallback_tag(tag): tag for tag in self._known}
        owners = {}
        for digest, tags in self.by_digest.items():
            subject = self.manifests[digest].subject
            named = list(filter(None, map(fallback_tag_of, tags)))
            if subject:
                owners[digest] = subject if subject in self._known else ""
            elif len(named) == len(tags):
                owners[digest] = next((subjects[tag] for tag in named if tag in subjects), "")
        return owners

    @property
    def roots(self) -> list[str]:
        """Digests that are tagged and do not belong to another image."""
        return [digest for digest in self.by_digest if digest not in self.owners]

    def reach(self, digest: str, without: Collection[str] = ()) -> list[str]:
        """Return a manifest and everything below it, parents first.

        :param without: digests below it to leave out, with everything reachable only through them
        """
        reached: dict[str, None] = {}
        waiting = [digest]
        while waiting:
            current = waiting.pop()
            if current not in reached and (current == digest or current not in without):
                reached[current] = None
                manifest = self.manifests.get(current)
                waiting += [member.digest for member in manifest.manifests] if manifest else []
        return list(reached)

    def has_temporary_tag(self, digest: str) -> bool:
        """Return whether an interrupted prune left an image, which has no tag but the temporary one."""
        return self.by_digest.get(digest) == (temporary_tag(digest),)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(reached for digest in self.by_digest for reached in self.reach(digest))


def read_inventory(repository: Repository) -> Inventory:
    """Read the contents of a repository; empty if it does not exist.

    :raises RegistryError: if something cannot be read
    """
    with ThreadPoolExecutor(PARALLEL) as pool:
        tags = list(repository.tags())
        heads = dict(zip(tags, pool.map(repository.head, tags)))
        tagged = {tag: digest for tag, digest in heads.items() if digest}
        manifests = _manifests(repository, pool, tagged.values())
    present = {tag: digest for tag, digest in tagged.items() if digest in manifests}
    return Inventory(repository.name, present, manifests, frozenset(tags).difference(present))


def _manifests(repository: Repository, pool: ThreadPoolExecutor, digests: Iterable[str]) -> dict[str, Manifest]:
    """Return manifests and nested indexes by digest; those deleted in the meantime are left out."""
    manifests: dict[str, Manifest] = {}
    wanted = list(dict.fromkeys(digests))
    for _ in range(MAX_INDEX_DEPTH):
        read = [manifest for manifest in pool.map(lambda digest: _manifest(repository, digest), wanted) if manifest]
        manifests.update({manifest.digest: manifest for manifest in read})
        below = {
            member.digest
            for manifest in read
            for member in manifest.manifests
            if member.media_type in INDEX_MEDIA_TYPES
        }
        wanted = [manifest for manifest in below if manifest not in manifests]
        if not wanted:
            return manifests
    raise RegistryError(f"image indexes in {repository.reference} are nested more than {MAX_INDEX_DEPTH} levels deep")


def _manifest(repository: Repository, digest: str) -> Manifest | None:
    try:
        return repository.manifest(digest)
    except NoSuchImageError:
        return None
