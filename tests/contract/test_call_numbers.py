# SPDX-License-Identifier: GPL-2.0-or-later
"""Call numbers: how a hub distinguishes a lost response from a lost request."""

from __future__ import annotations

import re

import pytest

from tests.contract.support import Connect, HubAccess, assert_refused, call_with_number, new_name


@pytest.mark.since("1.36")
def test_write_is_not_repeated(access: HubAccess, connect: Connect) -> None:
    session = connect(access.admin)
    tag = new_name("tag")
    assert call_with_number(access, session, 10, "createTag", tag) > 0
    with assert_refused(1009, re.compile(r"^unable to retry call 10 \(method createTag\) for session \d+$")):
        call_with_number(access, session, 10, "createTag", tag)


def test_a_write_under_the_next_number_is_done(access: HubAccess, connect: Connect) -> None:
    session = connect(access.admin)
    first = call_with_number(access, session, 10, "createTag", new_name("tag"))
    assert call_with_number(access, session, 11, "createTag", new_name("tag")) > first


@pytest.mark.since("1.36")
def test_a_lower_number_than_that_of_a_write(access: HubAccess, connect: Connect) -> None:
    session = connect(access.admin)
    call_with_number(access, session, 10, "createTag", new_name("tag"))
    with assert_refused(1008, re.compile(r"^10 > 9 \(session \d+\)$")):
        call_with_number(access, session, 9, "getAPIVersion")


def test_a_read_does_not_count(access: HubAccess, connect: Connect) -> None:
    session = connect(access.admin)
    for number in (20, 20, 19):
        assert call_with_number(access, session, number, "getAPIVersion") == 1


def test_a_refused_write_does_not_count(access: HubAccess, connect: Connect) -> None:
    session = connect(access.admin)
    tag = new_name("tag")
    call_with_number(access, session, 10, "createTag", tag)
    for _ in range(2):
        with assert_refused(1000, f"A tag with the name '{tag}' already exists"):
            call_with_number(access, session, 11, "createTag", tag)
    assert call_with_number(access, session, 11, "createTag", new_name("tag")) > 0


def test_no_number_is_accepted_after_a_write(access: HubAccess, connect: Connect) -> None:
    session = connect(access.admin)
    call_with_number(access, session, 10, "createTag", new_name("tag"))
    assert call_with_number(access, session, None, "createTag", new_name("tag")) > 0
    assert call_with_number(access, session, None, "getAPIVersion") == 1


@pytest.mark.since("1.36")
def test_stored_call_number_is_returned(access: HubAccess, connect: Connect) -> None:
    session = connect(access.admin)
    call_with_number(access, session, 10, "createTag", new_name("tag"))
    assert call_with_number(access, session, None, "getSessionInfo")["callnum"] == 10


@pytest.mark.since("1.36")
@pytest.mark.parametrize("method", ["getAPIVersion", "getLoggedInUser"])
def test_a_read_may_not_be_repeated_under_the_number_of_a_write(
    access: HubAccess, connect: Connect, method: str
) -> None:
    session = connect(access.admin)
    call_with_number(access, session, 10, "createTag", new_name("tag"))
    with assert_refused(1009, re.compile(rf"^unable to retry call 10 \(method {method}\) for session \d+$")):
        call_with_number(access, session, 10, method)
