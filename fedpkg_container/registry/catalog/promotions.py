# SPDX-License-Identifier: GPL-2.0-or-later
"""Promotions to a target according to the journal. Their authors are not published."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from fedpkg_container.errors import UsageError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.catalog.facts import clean, utc_time
from fedpkg_container.registry.catalog.views import Promotion
from fedpkg_container.registry.promotion.journal_entry import DONE, PROMOTE, JournalEntry


def promotions(entries: Iterable[JournalEntry], target: str, registry: str) -> list[Promotion]:
    """Return the completed promotions to a target, the newest first; invalid entries are skipped.

    :param target: name of the target
    :param registry: of the target
    """
    found = []
    for entry in entries:
        if (entry.what, entry.state, entry.target) != (PROMOTE, DONE, target):
            continue
        try:
            reference = ImageReference.parse(entry.repository)
        except UsageError:
            continue
        time = utc_time(entry.ended) or utc_time(entry.time)
        if time and reference.registry == registry:
            tags = tuple(clean(tag) for tag in entry.tags)
            found.append(
                Promotion(_urn(entry.id), time, reference.repository, clean(entry.nvr), clean(entry.digest), tags)
            )
    return sorted(found, key=lambda each: each.time, reverse=True)


def _urn(change: str) -> str:
    """Return the permanent ID of a change."""
    try:
        return uuid.UUID(hex=change).urn
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, change).urn
