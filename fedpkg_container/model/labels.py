"""Labels that name a build, and their older spellings."""

from __future__ import annotations

from collections.abc import Mapping

COMPONENT = "com.redhat.component"
#: Labels that name a build → how they were spelled before.
OLDER = {COMPONENT: "BZComponent", "name": "Name", "version": "Version", "release": "Release"}


def label(labels: Mapping[str, str], name: str) -> str:
    """A label under its name or its older one; empty when it is not set."""
    return labels.get(name) or labels.get(OLDER.get(name, name)) or ""
