# SPDX-License-Identifier: GPL-2.0-or-later
"""An entry of the promotion journal: a JSON line that describes a change, at its start or its end."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from fedpkg_container.files import user_name
from fedpkg_container.text import printable_line

#: Version of the format; raised when a field changes its meaning.
FORMAT = 1
BEGUN, DONE = "begun", "done"
#: Kinds of changes; ``ATTACH``: referrers, e.g. signatures, were added to an image that was already promoted or staged.
PROMOTE, UNPROMOTE, STAGE, ATTACH = "promote", "unpromote", "stage", "attach"


@dataclass(frozen=True)
class TagMove:
    """Digests of a tag before and after a change; empty for none."""

    before: str
    after: str


@dataclass(frozen=True)
class JournalEntry:
    """A line of the journal.

    :param id: the same in both lines of a change
    :param time: start of the change, RFC 3339; ``ended`` is its end
    :param what: promote, unpromote, stage or attach
    :param state: ``begun`` or ``done``
    :param target: name of the target's section
    :param repository: with its registry
    :param digest: of the build's image index
    :param source: pull spec in the candidate registry
    :param tags: moved tags
    :param deleted: digests of deleted manifests, in this order
    :param by: user, host and the user who called sudo
    """

    id: str
    time: str
    what: str
    state: str
    target: str
    repository: str
    nvr: str
    digest: str
    source: str = ""
    tags: Mapping[str, TagMove] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    by: Mapping[str, str] = field(default_factory=dict)
    ended: str = ""

    @classmethod
    def start(cls, what: str, **values: Any) -> JournalEntry:
        """Return the entry for a change that starts now."""
        return cls(id=uuid.uuid4().hex, time=_now(), what=what, state=BEGUN, by=_author(), **values)

    def done(self) -> JournalEntry:
        """Return the entry for the end of the change."""
        return replace(self, state=DONE, ended=_now())

    def line(self) -> bytes:
        """Return the serialized line."""
        return json.dumps({"format": FORMAT, **asdict(self)}).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> JournalEntry:
        """Parse a line.

        :raises ValueError: if it is invalid, or of a newer format
        """
        values = json.loads(line)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")
        known = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        try:
            tags = {tag: TagMove(str(move["before"]), str(move["after"])) for tag, move in values["tags"].items()}
            return cls(**{**known, "tags": tags, "deleted": tuple(values["deleted"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{error} is missing or wrong") from error

    @property
    def author(self) -> str:
        """The author as user@host; with sudo, the user who called it."""
        user = self.by.get("sudo_user") or self.by.get("user") or "unknown"
        return printable_line(f"{user}@{self.by.get('host') or 'unknown'}")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _author() -> dict[str, str]:
    return {"user": user_name(os.getuid()), "host": socket.gethostname(), "sudo_user": os.environ.get("SUDO_USER", "")}
