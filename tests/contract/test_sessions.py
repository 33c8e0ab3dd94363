# SPDX-License-Identifier: GPL-2.0-or-later
"""Login, logout, and calls that do not require a login."""

from __future__ import annotations

import re
from typing import Any

from tests.contract import shapes
from tests.contract.support import (
    Connect,
    HubAccess,
    assert_refused,
    call_with_number,
    is_certificate,
    log_in,
    unauthenticated,
)


def test_api_version_is_one(anonymous: Any) -> None:
    assert anonymous.getAPIVersion() == 1


def test_unknown_method(anonymous: Any) -> None:
    with assert_refused(1000, "Invalid method: noSuchMethod"):
        anonymous.noSuchMethod()


def test_unknown_host_method(anonymous: Any) -> None:
    with assert_refused(1000, "Invalid method: host.noSuchMethod"):
        anonymous.host.noSuchMethod()


def test_missing_argument(anonymous: Any) -> None:
    with assert_refused(1019, re.compile(r"missing 1 required positional argument: 'tagInfo'$")):
        anonymous.getTag()


def test_superfluous_argument(anonymous: Any) -> None:
    with assert_refused(1019, re.compile(r"takes \d positional arguments? but \d (was|were) given$")):
        anonymous.getAPIVersion("x")


def test_unknown_named_argument(anonymous: Any) -> None:
    with assert_refused(1019, re.compile(r"got an unexpected keyword argument 'colour'$")):
        anonymous.getTag("x", colour="red")


def test_session_of_a_login(packager: Any) -> None:
    assert set(packager.sinfo) >= {"session-id", "session-key", "header-auth"}
    assert isinstance(packager.sinfo["session-id"], int)
    assert isinstance(packager.sinfo["session-key"], str)
    assert packager.sinfo["header-auth"] is True


def test_wrong_credentials(access: HubAccess) -> None:
    session = unauthenticated(access)
    if is_certificate(access.packager):
        with assert_refused(1002, re.compile(r"^could not verify client: ")):
            session.callMethod("sslLogin")
    else:
        user, _, password = access.packager.partition(":")
        with assert_refused(1002, "invalid username or password"):
            session.callMethod("login", user, password + "x")


def test_unknown_user(access: HubAccess) -> None:
    with assert_refused(1002, "invalid username or password"):
        unauthenticated(access).callMethod("login", "contract-nobody", "x")


def test_empty_password(access: HubAccess) -> None:
    with assert_refused(1002, "invalid username or password"):
        unauthenticated(access).callMethod("login", "contract-nobody", "")


def test_logged_in_user(packager: Any) -> None:
    user = packager.getLoggedInUser()
    assert set(user) == shapes.LOGGED_IN_USER
    assert isinstance(user["id"], int)
    assert isinstance(user["krb_principals"], list)
    assert (user["status"], user["usertype"]) == (0, 0)


def test_authtype_follows_the_form_of_the_credential(access: HubAccess, packager: Any) -> None:
    expected = 2 if is_certificate(access.packager) else 0
    assert packager.getLoggedInUser()["authtype"] == expected


def test_logged_in_user_of_nobody(anonymous: Any) -> None:
    assert anonymous.getLoggedInUser() is None


def test_permissions(admin: Any, packager: Any) -> None:
    assert admin.hasPerm("admin") is True
    assert packager.hasPerm("admin") is False


def test_permission_of_nobody(anonymous: Any) -> None:
    assert anonymous.hasPerm("admin") is False


def test_session_info(packager: Any) -> None:
    info = packager.getSessionInfo()
    assert set(info) == shapes.SESSION
    assert info["user_id"] == packager.getLoggedInUser()["id"]
    assert (info["expired"], info["master"], info["exclusive"]) == (False, None, None)
    assert isinstance(info["start_time"], str)
    assert isinstance(info["start_ts"], float)


def test_session_info_with_details(packager: Any) -> None:
    info = packager.getSessionInfo(details=True)
    assert set(info) == shapes.SESSION | {"hostip", "id"}
    assert info["id"] == packager.sinfo["session-id"]
    assert isinstance(info["hostip"], str)


def test_session_info_of_nobody(anonymous: Any) -> None:
    assert anonymous.getSessionInfo() is None


def test_second_login_in_a_session(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    method, arguments = ("sslLogin", ()) if is_certificate(access.packager) else ("login", ("x", "y"))
    with assert_refused(1002, "Already logged in"):
        call_with_number(access, session, None, method, *arguments)


def test_logout_returns_none(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    assert call_with_number(access, session, None, "logout") is None


def test_logged_out_session(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    call_with_number(access, session, None, "logout")
    with assert_refused(1002, "Invalid session or bad credentials"):
        call_with_number(access, session, None, "getLoggedInUser")


def test_session_with_a_wrong_key(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    right = session.sinfo
    session.sinfo = {**right, "session-key": "1-wrong"}
    with assert_refused(1002, "Invalid session or bad credentials"):
        call_with_number(access, session, None, "getLoggedInUser")
    session.sinfo = right
    assert call_with_number(access, session, None, "getLoggedInUser")["id"]


def test_logout_of_nobody(anonymous: Any) -> None:
    with assert_refused(1002, "Not logged in"):
        anonymous.callMethod("logout")


def test_login_again_after_logout(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    first = session.sinfo["session-id"]
    session.logout()
    log_in(session, access, access.packager)
    assert session.sinfo["session-id"] != first
    assert session.getLoggedInUser()["id"]


def test_subsession_is_of_the_same_user(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    child = session.subsession()
    info = child.getSessionInfo()
    assert info["master"] == session.sinfo["session-id"]
    assert info["user_id"] == session.getSessionInfo()["user_id"]


def test_logout_of_a_child(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    child = session.subsession()
    assert session.logoutChild(child.sinfo["session-id"]) is None
    with assert_refused(1002, "Invalid session or bad credentials"):
        child.getLoggedInUser()


def test_logout_ends_the_subsessions(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    child = session.subsession()
    session.logout()
    with assert_refused(1002, "Invalid session or bad credentials"):
        child.getLoggedInUser()


def test_subsession_of_nobody(anonymous: Any) -> None:
    with assert_refused(1002, "Not logged in"):
        anonymous.callMethod("subsession")
