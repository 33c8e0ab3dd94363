"""From tags to blobs: what one repository's tags reach, by the manifests that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.manifests import DEEPEST_LIST
from fedpkg_container.registry.mirror.images import Image
from fedpkg_container.registry.referrers import DEEPEST as DEEPEST_ARTIFACT
from fedpkg_container.registry.referrers import fallback_tag, is_fallback_tag

#: How deep lists in lists, and artifacts that refer to artifacts, may go.
DEEPEST = DEEPEST_LIST + DEEPEST_ARTIFACT


@dataclass
class Reach:
    """What is reached.

    :param manifests: digests of those that are known
    :param blobs: digest → bytes
    :param unknown: digests of manifests that must be read before all can be told
    """

    manifests: set[str] = field(default_factory=set)
    blobs: dict[str, int] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def add(self, digest: str, image: Image) -> None:
        """Add a manifest, and its blobs.

        :raises RegistryError: it disagrees with another one about the size of a blob
        """
        self.manifests.add(digest)
        for blob in image.blobs:
            if self.blobs.setdefault(blob.digest, blob.size) != blob.size:
                raise RegistryError(
                    f"{digest} says that {blob.digest} has {blob.size} bytes, another manifest does not"
                )


def walk(tags: Mapping[str, str], images: Mapping[str, Image], listed: Callable[[str], Iterable[str]]) -> Reach:
    """What tags reach.

    :param tags: of one repository, with their digests
    :param images: the manifests that are known, by digest
    :param listed: what the registry says refers to a manifest
    :raises RegistryError: manifests lead to others without end, contradict each other, or would be served as blobs
    """
    reach = Reach()
    # Lists of referrers count as long as some other tag reaches the image.
    level = {digest for tag, digest in tags.items() if not is_fallback_tag(tag)}
    for _ in range(DEEPEST):
        following: set[str] = set()
        for digest in level:
            image = images.get(digest)
            if image is None:
                reach.unknown.add(digest)
                continue
            reach.add(digest, image)
            following.update(image.members, listed(digest))
            if fallback_tag(digest) in tags:
                following.add(tags[fallback_tag(digest)])
        level = following - reach.manifests - reach.unknown
        if not level:
            break
    else:
        raise RegistryError(f"manifests lead to others, deeper than {DEEPEST} of them: {min(level)}")
    served = next((digest for digest in reach.blobs if digest in images), "")
    if served:
        raise RegistryError(f"{served} is a manifest, and another one has it among its layers")
    return reach
