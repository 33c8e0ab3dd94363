# SPDX-License-Identifier: GPL-2.0-or-later
"""Extraction of the cause from messages of requests and urllib3."""

from __future__ import annotations

import socket
import ssl

import pytest
import requests

from fedpkg_container.registry.response import MAX_CAUSE, root_cause


def test_refused_connections() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(requests.ConnectionError) as raised:
            requests.get(f"https://127.0.0.1:{unused.getsockname()[1]}/v2/", timeout=10)
    assert root_cause(str(raised.value)) == "Connection refused"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("(Caused by NameResolutionError(\"x: Failed to resolve 'y' ([Errno -2] Name or service not known)\"))",
         "Name or service not known"),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", "Connection reset by peer"),
        (str(ssl.SSLError(1, "[SSL: X] certificate verify failed: self-signed certificate (_ssl.c:992)")),
         "certificate verify failed: self-signed certificate"),
        ("HTTPSConnectionPool(host='x', port=443): Read timed out. (read timeout=3)", "Read timed out"),
        ("('Connection broken: IncompleteRead(4 bytes read)', IncompleteRead(4))", "Connection broken"),
        ("something\x1b[31m else\nat all", "something\N{REPLACEMENT CHARACTER}[31m else at all"),
        ("x" * 9999, "x" * MAX_CAUSE),
    ],
)  # fmt: skip
def test_causes(said: str, cause: str) -> None:
    assert root_cause(said) == cause
