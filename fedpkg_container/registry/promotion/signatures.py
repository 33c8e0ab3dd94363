"""What cosign keeps under tags beside an image: signatures (``.sig``), attestations (``.att``), SBOMs (``.sbom``).

It did so before registries listed referrers, and does so still unless it is told otherwise. The tag is made of the
image's digest, with an ending; the manifest under it is written anew, with one layer more, for each signature.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.referrers import fallback_tag, is_fallback_tag, list_tag
from fedpkg_container.registry.repository import Repository

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SignatureTags:
    """The tags of signatures in repositories, each of which is asked for its tags once; for several threads."""

    _known: dict[str, Mapping[str, list[str]]] = field(default_factory=dict)
    _locks: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def of(self, repository: Repository, digests: Iterable[str]) -> list[str]:
        """The tags of what belongs to some images.

        :raises RegistryError: the registry cannot be reached, or refuses
        """
        with self._locks[repository.name]:
            if repository.name not in self._known:
                self._known[repository.name] = _by_image(repository)
        known = self._known[repository.name]
        return [tag for digest in digests for tag in known.get(fallback_tag(digest), ())]


def _by_image(repository: Repository) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tag in repository.tags():
        if list_tag(tag) and not is_fallback_tag(tag):
            found.setdefault(list_tag(tag), []).append(tag)
    return found


def is_wanted(tag: str, manifest: Manifest, target: Repository) -> bool:
    """Whether a target is to get what is under a tag: it has nothing there, or less of the same.

    :raises RegistryError: the target cannot be reached, or what it has there cannot be read
    """
    head = target.head(tag)
    if not head or head == manifest.digest:
        return not head
    there = {each.digest for each in target.manifest(head).blobs[1:]}
    if there <= {each.digest for each in manifest.blobs[1:]}:
        return True
    logger.warning("%s holds what the candidate registry does not, and stays as it is", target.reference.tagged(tag))
    return False
