# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions with a hub that does not respond."""

from __future__ import annotations

import socket

import koji
import pytest
import requests

from fedpkg_container.hub.session import log_out


def test_a_logout_from_a_hub_that_is_gone_is_ignored() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    session = koji.ClientSession(f"http://127.0.0.1:{port}/kojihub", {"max_retries": 1, "retry_interval": 0})
    session.setSession({"session-id": 1, "session-key": "key", "callnum": 0})
    session.logged_in = True
    with pytest.raises(requests.ConnectionError):
        session.logout()
    log_out(session)
