"""Which tags a promoted build gets, and which it does not: no tag goes to an older build, or from another image.

The tag of version and release means one image for ever. Floating tags move to newer builds only, as RPM orders them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedpkg_container.errors import RefusedError, RegistryError
from fedpkg_container.model.build import NVR
from fedpkg_container.model.evr import compare
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.nvr import legal_tag
from fedpkg_container.registry.config import RECORDED, VERSION, Target
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.promotion.identity import Identities
from fedpkg_container.registry.promotion.record import Move
from fedpkg_container.registry.repository import Repository

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
            tags.append(legal_tag(candidate.nvr.version))
        elif word == RECORDED:
            tags += map(legal_tag, candidate.floating)
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
        if compare(holder, nvr) > 0 and not self.rules.downgrade:
            return TagChange(tag, before, before, KEPT, f"it belongs to {holder}, which is newer")
        return TagChange(tag, before, digest, SET, f"it was {holder}")

    def _name(self, tag: str) -> str:
        return str(self.repository.reference.tagged(tag))
