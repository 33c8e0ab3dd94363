# SPDX-License-Identifier: GPL-2.0-or-later
"""The session that a request names, and its rules (call numbers, exclusive sessions)."""

from __future__ import annotations

import secrets
import time
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Database, Row
from fedpkg_container.box.hub.kinds import Integer, shown

#: Calls that an expired session may make: they renew it.
_RENEWING = {"login", "sslLogin"}


class CallerSession:
    """Session of one request, ``context.session`` of plugins.

    :raises koji.AuthError: the session is unknown or closed, or its key is wrong
    :raises koji.SequenceError: the call number is lower than a stored one
    :raises koji.RetryError: the call with this number has already changed something
    """

    def __init__(self, environ: dict[str, Any], database: Database) -> None:
        self.database = database
        self.id: int | None = None
        self.user_id: int | None = None
        self.logged_in = False
        self.master: int | None = None
        self.exclusive = False
        self.authtype: int | None = None
        self.callnum: int | None = None
        self.user_data: Row = {}
        self.session_data: Row = {}
        self._lock_error = ""
        if "HTTP_KOJI_SESSION_ID" in environ:
            self._identify(environ)

    def _identify(self, environ: dict[str, Any]) -> None:
        row = self.database.one(
            "SELECT * FROM sessions WHERE id = ? AND key = ? AND NOT closed",
            _number(environ["HTTP_KOJI_SESSION_ID"]),
            environ.get("HTTP_KOJI_SESSION_KEY", ""),
        )
        if row is None:
            raise koji.AuthError("Invalid session or bad credentials")
        self.id = row["id"]
        self.session_data = row
        if row["expired"]:
            if environ.get("hub.call") not in _RENEWING:
                raise koji.AuthExpired(f'session "{self.id}" has expired')
            return
        self._check_call_number(row, environ.get("HTTP_KOJI_SESSION_CALLNUM"))
        user = self.database.one("SELECT * FROM users WHERE id = ?", row["user_id"])
        assert user is not None
        if user["status"] != koji.USER_STATUS["NORMAL"]:
            raise koji.AuthError(f"logins by {user['name']} are not allowed")
        self.user_id, self.master, self.authtype = row["user_id"], row["master"], row["authtype"]
        self.user_data = user
        self.logged_in = True
        self._find_exclusive(row)

    def _check_call_number(self, row: Row, sent: str | None) -> None:
        if sent is None:
            return
        self.callnum = _number(sent)
        last_number = row["callnum"]
        if last_number is None:
            return
        if last_number > self.callnum:
            raise koji.SequenceError(f"{last_number} > {self.callnum} (session {self.id})")
        if last_number == self.callnum:
            raise koji.RetryError(
                f"unable to retry call {self.callnum} (method {context.method}) for session {self.id}"
            )

    def _find_exclusive(self, row: Row) -> None:
        if row["exclusive"]:
            self.exclusive = True
            return
        holder = self.database.value(
            "SELECT id FROM sessions WHERE user_id = ? AND exclusive AND NOT closed", row["user_id"]
        )
        if holder is None:
            return
        if holder == row["master"]:
            self.exclusive = True
        else:
            self._lock_error = "User locked by another session"

    def validate(self) -> bool:
        """Refuse if another session holds this user exclusively."""
        if self._lock_error:
            raise koji.AuthLockError(self._lock_error)
        return True

    def keep_call_number(self) -> None:
        """Store the number of a call that changed something."""
        if self.callnum is not None and self.logged_in:
            self.database.update("sessions", int(self.id or 0), callnum=self.callnum)

    def hasPerm(self, name: str) -> bool:  # noqa: N802, the name is Koji's
        """Whether the user has a permission (``admin`` does not imply others, as in Koji)."""
        granted = self.database.value(
            "SELECT 1 FROM permissions WHERE user_id = ? AND permission = ?", self.user_id, name
        )
        return self.logged_in and bool(granted)

    def assertPerm(self, name: str) -> None:  # noqa: N802, the name is Koji's
        """Refuse users without the permission or ``admin``."""
        if self.hasPerm(name) or self.hasPerm("admin"):
            return
        who = f"logged in as {self.user_data['name']}" if self.logged_in else "user not logged in"
        raise koji.ActionNotAllowed(f"{name} permission required ({who})")

    def assertLogin(self) -> None:  # noqa: N802, the name is Koji's
        """Require a login."""
        if not self.logged_in:
            raise koji.ActionNotAllowed("you must be logged in for this operation")

    def create(self, user_id: int, authtype: int, *, master: int | None = None, renew: bool = False) -> Row | None:
        """Create a session, or with ``renew`` a new key for this one; return the client's data."""
        key = f"{user_id}-{secrets.token_urlsafe(24)}"
        now = time.time()
        if renew and self.id is not None:
            parent = self.session_data.get("master")
            if parent and self.database.value("SELECT closed FROM sessions WHERE id = ?", parent):
                return None
            self.database.update("sessions", self.id, key=key, expired=0, update_time=now, renew_time=now)
            session_id = self.id
        else:
            session_id = self.database.insert(
                "sessions", key=key, user_id=user_id, authtype=authtype, hostip="127.0.0.1", master=master,
                start_time=now, update_time=now,
            )  # fmt: skip
        return {"session-id": session_id, "session-key": key, "header-auth": True}

    def close(self, condition: str, *values: object) -> None:
        """Close sessions that match a condition."""
        self.database.execute(f"UPDATE sessions SET expired = 1, exclusive = 0, closed = 1 WHERE {condition}", *values)


def _number(text: str) -> int:
    try:
        return Integer().convert(text)
    except koji.ParameterError:
        raise koji.AuthError(f"Invalid callnum: {shown(text)!r}") from None
