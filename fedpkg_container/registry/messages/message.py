# SPDX-License-Identifier: GPL-2.0-or-later
"""The message about a completed change; docs/reference/promotion-message.schema.json describes it.

It can be published: users and hosts of the journal are left out.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from fedpkg_container.registry.promotion.journal_entry import DONE, PROMOTE, UNPROMOTE, JournalEntry

#: Version of the message; incremented when a field changes its meaning.
FORMAT = 1
#: Prefix of the topic of messages, which is followed by the kind of change.
TOPIC = "fedpkg_container"


@dataclass(frozen=True)
class Message:
    """A message.

    :param id: a UUID, the same if the message is sent again
    :param topic: e.g. ``fedpkg_container.promote``
    """

    id: str
    topic: str
    body: dict[str, Any]

    @property
    def text(self) -> bytes:
        """The body as a line of JSON."""
        return json.dumps(self.body).encode() + b"\n"


def has_message(entry: JournalEntry) -> bool:
    """Return whether a message is sent about a journal entry."""
    return entry.state == DONE and entry.what in (PROMOTE, UNPROMOTE)


def message_about(entry: JournalEntry) -> Message:
    """Return the message about the end of a change."""
    identifier = _uuid(entry.id)
    body = {
        "format": FORMAT,
        "id": identifier,
        "what": entry.what,
        "started": entry.time,
        "ended": entry.ended,
        "target": entry.target,
        "repository": entry.repository,
        "nvr": entry.nvr,
        "digest": entry.digest,
        "source": entry.source,
        "tags": {tag: asdict(move) for tag, move in entry.tags.items()},
        "deleted": list(entry.deleted),
    }
    return Message(identifier, f"{TOPIC}.{entry.what}", body)


def _uuid(change: str) -> str:
    try:
        return str(uuid.UUID(hex=change))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, change))
