"""The content-generator interface: who may, reserving an NVR, giving it back."""

from __future__ import annotations

import secrets
import time
from typing import Any

import koji
from koji.context import context

from fedpkg_container.box.hub.calls import builds, users
from fedpkg_container.box.hub.calls.builds import BUILD_CANCELED, BUILD_FAILED, BUILDING
from fedpkg_container.box.hub.database import Row
from fedpkg_container.box.hub.dispatch import call, database
from fedpkg_container.box.hub.lookups import entry, find, require_permission
from fedpkg_container.box.hub.parameters import Lookup, Reservation, UserLookup, verify_name


def assert_access(cg: Any) -> Row:
    """The generator, as which the user who is calling must be allowed to act."""
    row = entry("content_generator", cg)
    if not context.session.logged_in:
        raise koji.AuthError("Not logged-in")
    if not _may_use(row["id"], context.session.user_id):
        raise koji.AuthError(f"Content generator access required ({row['name']})")
    return row


def _may_use(cg_id: int, user_id: int) -> bool:
    where = "SELECT 1 FROM content_generator_users WHERE cg_id = ? AND user_id = ?"
    return bool(database().value(where, cg_id, user_id))


@call("grantCGAccess", used_by="the box's set-up; koji grant-cg-access")
def grant_cg_access(user: UserLookup, cg: Lookup, create: bool = False) -> None:
    """Let a user import builds as a content generator."""
    require_permission("admin")
    user_id = users.known_user(user)["id"]
    if create and find("content_generators", cg) is None:
        if not isinstance(cg, str):
            raise koji.GenericError("Name must be a string")
        database().insert("content_generators", name=verify_name(cg))
    row = entry("content_generator", cg)
    if _may_use(row["id"], user_id):
        raise koji.GenericError(f"User already has access to content generator {row['name']}")
    database().execute("INSERT INTO content_generator_users VALUES (?, ?)", row["id"], user_id)


@call("CGInitBuild", used_by="the builder plugin")
def cg_init_build(cg: Lookup, data: Reservation) -> Row:
    """Reserve an NVR; the token is told this once."""
    row = assert_access(cg)
    build = {"epoch": None, **data, "state": BUILDING, "start_time": time.time(), "completion_time": None}
    build |= {"owner": context.session.user_id, "cg_id": row["id"]}
    if not build.get("name"):
        raise koji.GenericError("No name or package id provided for build")
    for key in ("version", "release"):
        if key not in build:
            raise koji.GenericError(f"No {key} value for build")
    koji.check_NVR({key: str(build[key]) for key in ("name", "version", "release")}, strict=True)
    build_id = builds.new_build(build)
    if database().value("SELECT 1 FROM reservations WHERE build_id = ?", build_id):
        raise koji.GenericError("Build is already reserved")
    token = secrets.token_urlsafe(32)
    database().insert("reservations", build_id=build_id, token=token, created=time.time())
    return {"build_id": build_id, "token": token}


@call("CGRefundBuild", used_by="the builder plugin")
def cg_refund_build(cg: Lookup, build_id: int, token: str, state: int = BUILD_FAILED) -> None:
    """Give a reservation back; the build becomes failed or canceled."""
    if state not in (BUILD_FAILED, BUILD_CANCELED):
        raise koji.GenericError("Only FAILED/CANCELED build states are allowed")
    row = assert_access(cg)
    build = builds.known_build(build_id)
    assert_building(build)
    assert_reserved(build, token, row["id"])
    database().update("builds", build["id"], state=state, completion_time=time.time())
    database().execute("DELETE FROM reservations WHERE build_id = ?", build["id"])


def assert_building(build: Row) -> None:
    """Refuse a build that has ended."""
    if build["state"] != BUILDING:
        raise koji.GenericError(f"Build ID {build['id']} is not in BUILDING state")


def assert_reserved(build: Row, token: str | None, cg_id: int) -> None:
    """Refuse a wrong token, and another generator than the one that reserved the build."""
    kept = database().value("SELECT token FROM reservations WHERE build_id = ?", build["id"])
    if not kept or not secrets.compare_digest(kept.encode(), str(token).encode()):
        raise koji.GenericError(f"Token doesn't match build ID {build['id']}")
    if build["cg_id"] != cg_id:
        raise koji.GenericError(f"Build ID {build['id']} is not reserved by this CG")
