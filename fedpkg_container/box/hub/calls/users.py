# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls about users and sessions."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.database import Database, Row, timestamp
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import condition, require_permission
from fedpkg_container.box.hub.parameters import UserLookup, verify_name


def known_user(user: Any) -> Row:
    """A user who must exist."""
    row = get_user(user, strict=True)
    assert row is not None
    return row


@call(
    "getUser",
    used_by="the client; the box's set-up; the builder plugin; koji taskinfo, list-pkgs and others",
)
def get_user(
    userInfo: UserLookup | None = None, strict: bool = False, krb_princs: bool = True, groups: bool = False
) -> Row | None:
    """A user by ID, name, or a dictionary with either; by default the calling user."""
    key = context.session.user_id if userInfo is None else userInfo
    if key is None:
        raise koji.GenericError("No user provided")
    column, value = condition(key)
    row = database().one(f"SELECT id, name, status, usertype FROM users WHERE {column} = ?", value)
    if row is None:
        if strict:
            raise koji.GenericError(f"No such user: {userInfo!r}")
        return None
    if krb_princs:
        row["krb_principals"] = []
    if groups:
        row["groups"] = groups_of(row["id"])
    return row


@call("getLoggedInUser", used_by="the client; koji moshimoshi, list-tasks --mine")
def get_logged_in_user() -> Row | None:
    """The calling user, or None."""
    session = context.session
    if not session.logged_in:
        return None
    return {**known_user(session.user_id), "krb_principal": None, "authtype": session.authtype}


def groups_of(user_id: int) -> list[str]:
    """Names of a user's groups."""
    rows = database().all(
        "SELECT name FROM users JOIN group_members ON users.id = group_id WHERE member_id = ? ORDER BY name", user_id
    )
    return [row["name"] for row in rows]


def permissions_of(user_id: int) -> list[str]:
    """User permissions."""
    rows = database().all("SELECT permission FROM permissions WHERE user_id = ?", user_id)
    return [row["permission"] for row in rows]


@call("createUser", used_by="the box's set-up")
def create_user(username: str, status: int | None = None, krb_principal: str | None = None) -> int:
    """Add a user; return the ID."""
    require_permission("admin")
    verify_name(username)
    if status not in (None, *koji.USER_STATUS.values()):
        raise koji.GenericError(f"Invalid status: {status}")
    if get_user(username):
        raise koji.GenericError(f"user already exists: {username}")
    return database().insert("users", name=username, status=status or koji.USER_STATUS["NORMAL"])


@call("hasPerm", used_by="koji add-tag, add-target, assign-task")
def has_permission(perm: str) -> bool:
    """Whether the calling user has a permission (``admin`` does not imply others, as in Koji)."""
    return bool(context.session.hasPerm(perm))


@call("getAPIVersion", used_by="koji: every command")
def get_api_version() -> int:
    """Version of the XML-RPC interface."""
    return int(koji.API_VERSION)


@call("getKojiVersion", used_by="koji version, moshimoshi")
def get_koji_version() -> str:
    """Version of Koji that this hub imitates: that of the imported koji library."""
    return str(koji.__version__)


def set_password(hub: Database, user: str, password: str) -> None:
    """Set a user's password; used only by the box's tests."""
    salt = os.urandom(16)
    row = hub.one("SELECT id FROM users WHERE name = ?", user)
    assert row is not None, user
    hub.execute(
        "INSERT OR REPLACE INTO passwords (user_id, salt, hash) VALUES (?, ?, ?)",
        row["id"],
        salt,
        _hashed(password, salt),
    )


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


@call("login", used_by="tests (the box itself has certificates only)")
def login(
    user: str, password: str, opts: Row | None = None, renew: bool = False, exclusive: bool = False
) -> Row | None:
    """Log in with a password, which only tests set."""
    session = context.session
    if session.logged_in:
        raise koji.AuthError("Already logged in")
    row = database().one(
        "SELECT users.id, salt, hash FROM users JOIN passwords ON passwords.user_id = users.id WHERE name = ?", user
    )
    if row is None or not hmac.compare_digest(_hashed(password, row["salt"]), row["hash"]):
        raise koji.AuthError("invalid username or password")
    new_session: Row | None = session.create(row["id"], koji.AUTHTYPES["NORMAL"], renew=renew)
    return new_session


@call("sslLogin", used_by="every program that logs in")
def ssl_login(
    proxyuser: str | None = None, proxyauthtype: int | None = None, renew: bool = False, exclusive: bool = False
) -> Row | None:
    """Log in as the user named in the client certificate."""
    session = context.session
    if session.logged_in:
        raise koji.AuthError("Already logged in")
    if context.environ.get("SSL_CLIENT_VERIFY") != "SUCCESS":
        raise koji.AuthError(f"could not verify client: {context.environ.get('SSL_CLIENT_VERIFY')}")
    name = context.environ.get("SSL_CLIENT_S_DN_CN")
    if proxyuser:
        raise koji.AuthError(f"{context.environ.get('SSL_CLIENT_S_DN')} is not authorized to login other users")
    user = database().one("SELECT * FROM users WHERE name = ?", name)
    if user is None:
        raise koji.AuthError(f"Unknown user: {name}")
    if user["status"] != koji.USER_STATUS["NORMAL"]:
        raise koji.AuthError(f"logins by {name} are not allowed")
    new_session: Row | None = session.create(user["id"], koji.AUTHTYPES["SSL"], renew=renew)
    if new_session and exclusive and not session.exclusive:
        _make_exclusive(new_session["session-id"], user["id"], force=False)
    return new_session


@call("logout", used_by="every program that logs in")
def logout(session_id: int | None = None) -> None:
    """Close a session and its subsessions."""
    session = context.session
    if not session.logged_in:
        raise koji.AuthError("Not logged in")
    if session_id and not session.hasPerm("admin"):
        owner = database().value("SELECT user_id FROM sessions WHERE id = ?", session_id)
        if owner != session.user_id:
            raise koji.ActionNotAllowed("only admins or owner may logout other session")
    ending = session_id or session.id
    session.close("id = ? OR master = ?", ending, ending)


@call("logoutChild", used_by="koji.daemon.TaskManager")
def logout_child(session_id: int) -> None:
    """Close a subsession of this session."""
    if not context.session.logged_in:
        raise koji.AuthError("Not logged in")
    context.session.close("id = ? AND master = ?", session_id, context.session.id)


@call("subsession", used_by="koji.daemon.TaskManager")
def subsession() -> Row | None:
    """Open a subsession for a task's process."""
    session = context.session
    if not session.logged_in:
        raise koji.AuthError("Not logged in")
    new_session: Row | None = session.create(session.user_id, session.authtype, master=session.master or session.id)
    return new_session


@call("exclusiveSession", used_by="the box's builder")
def exclusive_session(force: bool = False) -> None:
    """Lock the user for this session; ``force`` closes the session with the lock."""
    session = context.session
    if not session.logged_in:
        raise koji.AuthError("Not logged in")
    if session.master is not None:
        raise koji.GenericError("subsessions cannot become exclusive")
    if session.exclusive:
        raise koji.GenericError("session is already exclusive")
    _make_exclusive(session.id, session.user_id, force=force)


def _make_exclusive(session_id: int, user_id: int, *, force: bool) -> None:
    holder = database().value("SELECT id FROM sessions WHERE user_id = ? AND exclusive AND NOT closed", user_id)
    if holder is not None:
        if not force:
            raise koji.AuthLockError("Cannot get exclusive session")
        context.session.close("id = ?", holder)
    database().update("sessions", session_id, exclusive=1)


@call("getSessionInfo", used_by="koji.daemon.TaskManager")
def get_session_info(details: bool = False) -> Row | None:
    """Data of this session; with ``details`` also its ID and address."""
    session = context.session
    if not session.logged_in:
        return None
    row = session.session_data
    info = {key: row[key] for key in ("user_id", "authtype", "callnum", "master")}
    info |= {"exclusive": bool(row["exclusive"]) or None, "expired": bool(row["expired"])}
    for what in ("start", "update", "renew"):
        info |= {f"{what}_time": timestamp(row[f"{what}_time"]), f"{what}_ts": row[f"{what}_time"]}
    if details:
        info |= {"hostip": row["hostip"], "id": row["id"]}
    return info
