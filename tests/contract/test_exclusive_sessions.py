# SPDX-License-Identifier: GPL-2.0-or-later
"""Exclusive sessions, which ensure that a builder has only one session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.support import Connect, HubAccess, assert_refused, call_with_number

# These tests lock the packager's account: nothing here may use the session of that name.


@pytest.fixture
def locking(access: HubAccess, connect: Connect) -> Any:
    """An exclusive session."""
    session = connect(access.packager)
    assert session.exclusiveSession() is None
    return session


def test_the_exclusive_session_says_so(locking: Any) -> None:
    assert locking.getSessionInfo()["exclusive"] is True


def test_exclusive_twice(locking: Any) -> None:
    with assert_refused(1000, "session is already exclusive"):
        locking.exclusiveSession()


def test_others_of_the_account_are_locked_out(access: HubAccess, connect: Connect, locking: Any) -> None:
    other = connect(access.packager)
    for _ in range(2):
        with assert_refused(1006, "User locked by another session"):
            other.getLoggedInUser()


def test_reads_that_need_no_login_are_locked_too(access: HubAccess, connect: Connect, locking: Any) -> None:
    other = connect(access.packager)
    with assert_refused(1006, "User locked by another session"):
        other.getAPIVersion()


def test_other_accounts_are_not_locked_out(access: HubAccess, connect: Connect, locking: Any) -> None:
    assert connect(access.admin).getLoggedInUser()["id"] != locking.getLoggedInUser()["id"]


def test_a_second_one_cannot_be_exclusive(access: HubAccess, connect: Connect, locking: Any) -> None:
    other = connect(access.packager)
    with assert_refused(1006, "Cannot get exclusive session"):
        other.exclusiveSession()


def test_force_takes_it_over(access: HubAccess, connect: Connect, locking: Any) -> None:
    other = connect(access.packager)
    other.exclusiveSession(force=True)
    assert other.getSessionInfo()["exclusive"] is True
    with assert_refused(1002, "Invalid session or bad credentials"):
        call_with_number(access, locking, None, "getLoggedInUser")


def test_a_subsession_shares_it(locking: Any) -> None:
    child = locking.subsession()
    assert child.getLoggedInUser() == locking.getLoggedInUser()
    locking.logoutChild(child.sinfo["session-id"])


def test_a_subsession_cannot_become_exclusive(access: HubAccess, connect: Connect) -> None:
    session = connect(access.packager)
    child = session.subsession()
    with assert_refused(1000, "subsessions cannot become exclusive"):
        child.exclusiveSession()


def test_a_locked_session_may_log_out(access: HubAccess, connect: Connect, locking: Any) -> None:
    other = connect(access.packager)
    assert call_with_number(access, other, None, "logout") is None
    with assert_refused(1002, "Invalid session or bad credentials"):
        call_with_number(access, other, None, "getAPIVersion")


def test_logout_releases_it(access: HubAccess, connect: Connect, locking: Any) -> None:
    other = connect(access.packager)
    locking.logout()
    assert other.getLoggedInUser()["id"]
