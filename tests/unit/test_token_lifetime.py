# SPDX-License-Identifier: GPL-2.0-or-later
"""The validity that a token server states: a number of seconds by which a thread can wait, whatever the response is."""

from __future__ import annotations

import json

import pytest

from fedpkg_container.registry.auth import DEFAULT_LIFETIME, MAX_LIFETIME, TokenCache

CHALLENGE = 'Bearer realm="https://tokens.example.org/token"'


@pytest.mark.parametrize(
    ("stated", "lifetime"),
    [
        ("3600", 3600.0),
        ("0.5", 0.5),
        ("null", DEFAULT_LIFETIME),
        ("true", DEFAULT_LIFETIME),
        ('"3600"', DEFAULT_LIFETIME),
        ("-1", DEFAULT_LIFETIME),
        ("NaN", DEFAULT_LIFETIME),
        ("Infinity", MAX_LIFETIME),
        ("1e11", MAX_LIFETIME),
        ("1" + "0" * 400, MAX_LIFETIME),
    ],
)
def test_lifetime(stated: str, lifetime: float) -> None:
    content = json.loads(f'{{"token": "x", "expires_in": {stated}}}')
    tokens = TokenCache("registry.example.org", None)
    scopes = ["repository:staging/task-7:pull,push"]
    assert tokens.issue(CHALLENGE, scopes, lambda *_: (200, content)).lifetime == lifetime
