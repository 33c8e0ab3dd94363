"""Tags of a promoted build: those that it gets, those that it does not, and cosign's tags beside it."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fedpkg_container.errors import RefusedError, RegistryError
from fedpkg_container.model.evr import compare_evr
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.nvr import NVR, sanitize_tag
from fedpkg_container.registry.config import RECORDED, VERSION, Target
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.promotion.journal import Move
from fedpkg_container.registry.promotion.nvr_lookup import Identities
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


#: What becomes of a tag.
SET, ALREADY, KEPT, REMOVED = "set", "already", "kept", "removed"


@dataclass(frozen=True)
class Rules:
    """What may be done to tags that is refused otherwise.

    :param downgrade: move them to an older build
    :param replace: take them from an image of another component, or one that does not say what it is
    """

    downgrade: bool = False
    replace: bool = False


@dataclass(frozen=True)
class TagChange:
    """One tag of a build.

    :param before: the digest that it points to; empty for nothing
    :param after: the one that it points to then
    :param what: set (before it was something else), already (nothing to do), kept (it stays where it is), removed
    :param why: more about it, a sentence; may be empty
    """

    tag: str
    before: str
    after: str
    what: str
    why: str = ""

    @property
    def move(self) -> Move:
        """As the record has it."""
        return Move(self.before, self.after)


def wanted_tags(candidate: Candidate, target: Target) -> list[str]:
    """The tags of a build, in the order in which they are set."""
    tags = [candidate.nvr.primary_tag]
    for word in target.floating:
        if word == VERSION:
            tags.append(sanitize_tag(candidate.nvr.version))
        elif word == RECORDED:
            tags += map(sanitize_tag, candidate.floating)
        else:
            tags.append(word)
    return list(dict.fromkeys(tags))


@dataclass(frozen=True)
class Tagging:
    """The tags of one repository.

    :param rules: what may be done
    """

    repository: Repository
    identities: Identities
    rules: Rules

    def decide(self, nvr: NVR, digest: str, tags: Sequence[str], heads: Sequence[str]) -> list[TagChange]:
        """What becomes of each tag of a build; the first is that of its version and release.

        :param heads: what each of the tags points to
        :raises RefusedError: one may not be set, and so none is
        """
        primary, before = tags[0], heads[0]
        if before and before != digest:
            raise RefusedError(
                f"{self._name(primary)} exists, and is something else: {before}, not {digest} of {nvr}",
                solution="give the build another release; a tag of version and release is never set anew",
            )
        first = TagChange(primary, before, digest, ALREADY if before else SET)
        return [first, *(self._floating(nvr, digest, tag, head) for tag, head in zip(tags[1:], heads[1:]))]

    def set(self, change: TagChange, manifest: Manifest) -> None:
        """Let a tag point to a build, and see that it does.

        :raises RegistryError: it does not
        """
        self.repository.put_manifest(change.tag, manifest)
        found = self.repository.head(change.tag)
        if found != change.after:
            raise RegistryError(
                f"{self._name(change.tag)} was set to {change.after} and is {found or 'not there'} now",
                solution="see who else sets tags there, and run it again",
            )

    def _floating(self, nvr: NVR, digest: str, tag: str, before: str) -> TagChange:
        if before == digest:
            return TagChange(tag, before, digest, ALREADY)
        if not before:
            return TagChange(tag, "", digest, SET)
        holder = self.identities.of(before)
        if holder is None or holder.name != nvr.name:
            what = f"an image of {holder.name} ({holder})" if holder else "an image that does not say which build it is"
            if not self.rules.replace:
                raise RefusedError(
                    f"{self._name(tag)} is {what}: {before}", solution=f"look at it; --replace gives the tag to {nvr}"
                )
            return TagChange(tag, before, digest, SET, f"it was {what}")
        if compare_evr(holder, nvr) > 0 and not self.rules.downgrade:
            return TagChange(tag, before, before, KEPT, f"it belongs to {holder}, which is newer")
        return TagChange(tag, before, digest, SET, f"it was {holder}")

    def _name(self, tag: str) -> str:
        return str(self.repository.reference.tagged(tag))
