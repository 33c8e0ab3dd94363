# SPDX-License-Identifier: GPL-2.0-or-later
"""The history of a repository, derived from the promotion journal: builds, their tags, and unfinished changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from fedpkg_container.registry.promotion.journal_entry import ATTACH, DONE, PROMOTE, STAGE, JournalEntry


@dataclass
class RepositoryHistory:
    """History of one repository, which may be shared by targets with different floating tags.

    :param builds: digest → NVR
    :param promoted: digest → target → the change that promoted it, unless deleted
    :param staged: digest → target → the change that staged it, unless deleted
    :param tags: digest → target → tags that were set, or were going to be set
    :param unfinished: digest → its last change, if it was started and not completed; not of staging
    :param attaching: digest → an addition of referrers that was started and not completed
    :param tag_history: tag → its digests, the last one at the end
    """

    builds: dict[str, str] = field(default_factory=dict)
    promoted: defaultdict[str, dict[str, JournalEntry]] = field(default_factory=lambda: defaultdict(dict))
    staged: defaultdict[str, dict[str, JournalEntry]] = field(default_factory=lambda: defaultdict(dict))
    tags: defaultdict[str, defaultdict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    unfinished: dict[str, JournalEntry] = field(default_factory=dict)
    attaching: dict[str, JournalEntry] = field(default_factory=dict)
    tag_history: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[JournalEntry]) -> RepositoryHistory:
        """Return the history of a repository from its entries, the oldest first."""
        history = cls()
        for entry in entries:
            history.add(entry)
        return history

    def add(self, entry: JournalEntry) -> None:
        """Apply the next entry."""
        self.builds[entry.digest] = entry.nvr
        if entry.what == ATTACH:
            if entry.state == DONE:
                self.attaching.pop(entry.digest, None)
            else:
                self.attaching[entry.digest] = entry
            return
        if entry.what in (PROMOTE, STAGE):
            self.tags[entry.digest][entry.target].update(entry.tags)
        if entry.what == STAGE:  # does not replace an unfinished promotion, which has moved other tags
            if entry.state == DONE:
                self.staged[entry.digest][entry.target] = entry
            return
        if entry.state != DONE:
            self.unfinished[entry.digest] = entry
            return
        self.unfinished.pop(entry.digest, None)
        if entry.what == PROMOTE:
            self.promoted[entry.digest][entry.target] = entry
        else:
            self._apply_reversal(entry)
        for tag, move in entry.tags.items():
            self._append_digest(tag, move.before if entry.what == PROMOTE else "")
            self._append_digest(tag, move.after)

    def before(self, tag: str, digest: str) -> list[str]:
        """Return the digests of a tag before a digest, the last first."""
        digests = self.tag_history.get(tag, [])
        if digest in digests:
            digests = digests[: len(digests) - 1 - digests[::-1].index(digest)]
        return [previous for previous in dict.fromkeys(reversed(digests)) if previous != digest]

    def is_rollback_target(self, digest: str) -> bool:
        """Return whether a tag could be moved back to a digest."""
        return any(digest in digests[:-1] for digests in self.tag_history.values())

    def digests(self, nvr: str, target: str) -> list[str]:
        """Return the digests under which a build was promoted to a target, the last first."""
        return [digest for digest, name in reversed(self.builds.items()) if name == nvr and target in self.tags[digest]]

    def _apply_reversal(self, entry: JournalEntry) -> None:
        is_deleted = entry.digest in entry.deleted
        if is_deleted:
            self.promoted.pop(entry.digest, None)
            self.staged.pop(entry.digest, None)
        for tag, digests in self.tag_history.items():
            if (
                is_deleted or tag in entry.tags or digests[-1:] != [entry.digest]
            ):  # otherwise the tag could not be moved back
                self.tag_history[tag] = [digest for digest in digests if digest != entry.digest]

    def _append_digest(self, tag: str, digest: str) -> None:
        digests = self.tag_history.setdefault(tag, [])
        if digest and (not digests or digests[-1] != digest):
            digests.append(digest)
