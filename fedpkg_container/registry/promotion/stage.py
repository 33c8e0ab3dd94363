# SPDX-License-Identifier: GPL-2.0-or-later
"""Staging of builds: copy an image to the target without setting its tags, so that mirrors can fetch its blobs first.

A staged image has one tag, ``staged_tag``. It shows that the image is complete, protects it from garbage collection,
and leads the mirror to its blobs. It is not removed when the image is published: many registries cannot remove a tag
without the image, and it refers to the same image as the tag of version and release.
"""

from __future__ import annotations

from fedpkg_container.errors import RegistryUnavailableError
from fedpkg_container.registry.promotion.journal_entry import STAGE
from fedpkg_container.registry.promotion.promote import BuildPromotion
from fedpkg_container.registry.promotion.result import STAGED
from fedpkg_container.registry.promotion.tagging import ALREADY, SET, TagChange
from fedpkg_container.registry.referrers import staged_tag


class BuildStaging(BuildPromotion):
    """The staging of one build: everything is copied as for a promotion, and only the tag of a staged image is set."""

    what, done_state = STAGE, STAGED

    def _plan_tags(self) -> list[TagChange]:
        """Return the change of the tag of a staged image; empty if the build is published already.

        :raises RefusedError: if the build's own tags may not be set
        """
        if super()._plan_tags()[0].what == ALREADY:
            return []
        digest = self.candidate.image.digest
        tag = staged_tag(digest)
        head = self._current_digest(tag)
        return [TagChange(tag, head, digest, ALREADY if head == digest else SET)]

    def _current_digest(self, tag: str) -> str:
        try:
            return super()._current_digest(tag)
        except RegistryUnavailableError:
            if tag in self._own_tags() and not self._is_recorded():  # broken when staging was interrupted
                return ""
            raise

    def _is_done(self) -> bool:
        """Return whether the image is staged or published, and the journal contains this."""
        if not self.result.tags:
            return True
        is_known = self.promoter.journal.path is None or self._is_recorded()
        return self.result.tags[0].what == ALREADY and is_known

    def _own_tags(self) -> set[str]:
        return self.history.tags[self.candidate.image.digest][self.promoter.target.name]

    def _is_recorded(self) -> bool:
        return self.promoter.target.name in self.history.staged[self.candidate.image.digest]
