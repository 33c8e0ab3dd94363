# SPDX-License-Identifier: GPL-2.0-or-later
"""Promotions to a target according to the journal. Their authors are not published."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedpkg_container.errors import UsageError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.catalog.facts import clean, utc_time
from fedpkg_container.registry.catalog.views import Promotion
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.promotion.journal_entry import JournalEntry
from fedpkg_container.registry.promotion.journal_index import JournalIndex

#: Number of promotions in the feed.
MAX_FEED = 50


@dataclass(frozen=True)
class PromotionRecord:
    """What a catalog needs from the journal.

    :param latest: the last promotions, the newest first
    :param times: repository → digest → time of the last promotion
    """

    latest: tuple[Promotion, ...] = ()
    times: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_promotions(index: JournalIndex | None, target: Target) -> PromotionRecord:
    """Return the promotions to a target; invalid entries are skipped.

    :param index: of the journal; None: there is none
    :raises ConfigurationError: if the journal cannot be read, or a line is invalid
    """
    if index is None:
        return PromotionRecord()
    entries = index.latest_promotions(target.name, target.registry, MAX_FEED)
    times: dict[str, dict[str, str]] = {}
    for (name, digest), time in index.promotion_times(target.name, target.registry).items():
        times.setdefault(name.partition("/")[2], {})[clean(digest)] = utc_time(time)
    return PromotionRecord(tuple(filter(None, map(_promotion, entries))), times)


def _promotion(entry: JournalEntry) -> Promotion | None:
    """Return an entry for the feed; None if it is invalid."""
    time = utc_time(entry.ended) or utc_time(entry.time)
    try:
        repository = ImageReference.parse(entry.repository).repository
    except UsageError:
        return None
    tags = tuple(clean(tag) for tag in entry.tags)
    return Promotion(_urn(entry.id), time, repository, clean(entry.nvr), clean(entry.digest), tags) if time else None


def _urn(change: str) -> str:
    """Return the permanent ID of a change."""
    try:
        return uuid.UUID(hex=change).urn
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, change).urn
