# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial data of a new hub: an administrator and the channels; all other data is added by calls."""

from __future__ import annotations

import koji

from fedpkg_container.box.hub.database import Database

CHANNELS = ("default", "createrepo", "container-binary")


def seed(database: Database, administrator: str) -> None:
    """Add the administrator and the channels if missing."""
    with database.transaction():
        if database.value("SELECT 1 FROM users WHERE name = ?", administrator):
            return
        user = database.insert("users", name=administrator, status=koji.USER_STATUS["NORMAL"])
        for permission in ("admin", "tag", "target", "host", "repo"):
            database.execute("INSERT INTO permissions VALUES (?, ?)", user, permission)
        for name in CHANNELS:
            database.insert("channels", name=name)
        database.event()
