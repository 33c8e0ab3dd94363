# SPDX-License-Identifier: GPL-2.0-or-later
"""Moving the tags of a promoted build: its release tag, the floating tags, and cosign's tags."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedpkg_container.errors import RefusedError, RegistryError, UnexpectedResponseError
from fedpkg_container.model.evr import compare_evr
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.nvr import NVR, sanitize_tag
from fedpkg_container.registry.config import RECORDED, VERSION, Target
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.promotion.journal_entry import TagMove
from fedpkg_container.registry.promotion.nvr_lookup import NVRLookup
from fedpkg_container.registry.referrers import fallback_tag, fallback_tag_of, is_fallback_tag
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.signing.storage import add_layers, can_add_signatures, layers_of, missing_layers

_log = logging.getLogger(__name__)

#: Statuses with which registries reject a tag that must not be moved: ECR, Docker Hub, Quay, Harbor.
_IMMUTABLE_STATUSES = (400, 403, 409, 412)
#: What happens to a tag.
SET, ALREADY, KEPT, REMOVED = "set", "already", "kept", "removed"


@dataclass(frozen=True)
class SignatureTags:
    """cosign's tags in repositories, listed once per repository; thread-safe."""

    _tags: dict[str, Mapping[str, list[str]]] = field(default_factory=dict)
    _locks: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def of(self, repository: Repository, digests: Iterable[str]) -> list[str]:
        """Return the tags that belong to some images.

        :raises RegistryError: if the request fails
        """
        with self._locks[repository.name]:
            if repository.name not in self._tags:
                self._tags[repository.name] = _tags_by_image(repository)
        tags = self._tags[repository.name]
        return [tag for digest in digests for tag in tags.get(fallback_tag(digest), ())]


def _tags_by_image(repository: Repository) -> Mapping[str, list[str]]:
    tags: dict[str, list[str]] = {}
    for tag in repository.tags():
        if fallback_tag_of(tag) and not is_fallback_tag(tag):
            tags.setdefault(fallback_tag_of(tag), []).append(tag)
    return tags


def should_copy_signatures(tag: str, manifest: Manifest, target: Repository) -> bool:
    """Return whether cosign's manifest is to be copied: the target lacks a signature in it.

    :raises RegistryError: if the target cannot be read
    """
    head = target.head(tag)
    if not head or head == manifest.digest:
        return not head
    present = target.manifest(head)
    if not _others(present, manifest):
        return False
    if can_add_signatures(tag) or not _others(manifest, present):
        return True
    _log.warning("%s has contents that the candidate registry lacks; not changed", target.reference.tagged(tag))
    return False


def put_signatures(tag: str, manifest: Manifest, target: Repository) -> None:
    """Store cosign's manifest under its tag; add its signatures to those of the target, if that has others.

    :raises RegistryError: if it cannot be stored
    """
    head = target.head(tag)
    if head and can_add_signatures(tag) and _others(manifest, target.manifest(head)):
        add_layers(target, tag, layers_of(manifest))
    else:
        target.put_manifest(tag, manifest)


def _others(manifest: Manifest, other: Manifest) -> list[Mapping[str, Any]]:
    """Return the layers of another manifest of cosign that this one lacks."""
    return missing_layers(layers_of(manifest), layers_of(other))


@dataclass(frozen=True)
class TagRules:
    """Permissions for tag changes that are refused by default.

    :param downgrade: move tags to an older build
    :param replace: take tags from an image of another or an unknown component
    """

    downgrade: bool = False
    replace: bool = False


@dataclass(frozen=True)
class TagChange:
    """Change of one tag of a build.

    :param before: current digest; empty for none
    :param after: new digest
    :param what: set, already (nothing to do), kept (not changed), removed
    :param why: explanation; may be empty
    """

    tag: str
    before: str
    after: str
    what: str
    why: str = ""

    @property
    def move(self) -> TagMove:
        """The change as recorded in the journal."""
        return TagMove(self.before, self.after)


def wanted_tags(candidate: Candidate, target: Target) -> list[str]:
    """Return the tags of a build, in the order in which they are set."""
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
class TagUpdater:
    """Plans and makes the tag changes of one repository.

    :param rules: permitted changes
    """

    repository: Repository
    nvr_lookup: NVRLookup
    rules: TagRules

    def plan(self, nvr: NVR, digest: str, tags: Sequence[str], heads: Sequence[str]) -> list[TagChange]:
        """Return the change of each tag; the first tag is that of version and release.

        :param heads: current digest of each tag
        :raises RefusedError: if one of them is not permitted
        """
        primary, before = tags[0], heads[0]
        if before and before != digest:
            raise RefusedError(
                f"{self._name(primary)} exists with another image: {before}, not {digest} of {nvr}",
                solution="rebuild with another release; a tag of version and release is never moved",
            )
        first = TagChange(primary, before, digest, ALREADY if before else SET)
        return [first, *(self._plan_floating_tag(nvr, digest, tag, head) for tag, head in zip(tags[1:], heads[1:]))]

    def set_tag(self, change: TagChange, manifest: Manifest) -> None:
        """Set a tag to a build, and read it back.

        :raises RegistryError: if it has another digest
        """
        try:
            self.repository.put_manifest(change.tag, manifest)
        except UnexpectedResponseError as error:
            if not change.before or error.status not in _IMMUTABLE_STATUSES:
                raise
            raise RegistryError(
                f"{self._name(change.tag)} cannot be moved from {change.before}: {error.reason}",
                solution="if tags are immutable there, set floating = none for this target, or exempt the floating tags"
                " in the registry",
            ) from error
        self._read_back(change)
        _log.info("tag %s moved from %s to %s", self._name(change.tag), change.before or "none", change.after)

    def _read_back(self, change: TagChange) -> None:
        """Wait until the registry returns a tag as it was set; some show it seconds later.

        :raises RegistryError: if it does not within the retry timeout
        """
        http = self.repository.http
        if http.wait_until(lambda: self.repository.head(change.tag) == change.after):
            return
        current = self.repository.head(change.tag)
        waited = f", and was not seen for {http.retry_timeout:g} s" if http.retry_timeout else ""
        raise RegistryError(
            f"{self._name(change.tag)} was set to {change.after}{waited}, but is now {current or 'missing'}",
            solution="run it again; if that persists, increase retry_timeout for a registry that shows changes late, or"
            " check who else sets tags there",
        )

    def _plan_floating_tag(self, nvr: NVR, digest: str, tag: str, before: str) -> TagChange:
        if before == digest:
            return TagChange(tag, before, digest, ALREADY)
        if not before:
            return TagChange(tag, "", digest, SET)
        current_build = self.nvr_lookup.of(before)
        if current_build is None or current_build.name != nvr.name:
            holder = f"{current_build.name} ({current_build})" if current_build else "an unknown build"
            what = f"an image of {holder}"
            if not self.rules.replace:
                raise RefusedError(
                    f"{self._name(tag)} is {what}: {before}", solution=f"check it; --replace moves the tag to {nvr}"
                )
            return TagChange(tag, before, digest, SET, f"it was {what}")
        if compare_evr(current_build, nvr) > 0 and not self.rules.downgrade:
            _log.info("tag %s kept: it belongs to %s, which is newer than %s", self._name(tag), current_build, nvr)
            return TagChange(tag, before, before, KEPT, f"it belongs to {current_build}, which is newer")
        return TagChange(tag, before, digest, SET, f"it was {current_build}")

    def _name(self, tag: str) -> str:
        return str(self.repository.reference.tagged(tag))
