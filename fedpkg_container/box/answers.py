# SPDX-License-Identifier: GPL-2.0-or-later
"""Server health checks."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path


def answers(url: str, status: int, *, ca: Path, client: Path | None = None) -> bool:
    """Whether a GET of a URL returns a status.

    :param ca: CA certificate of the server's certificate
    :param client: PEM file of the client's certificate and key, for a server that requires one
    """
    trusted = ssl.create_default_context(cafile=str(ca))
    if client is not None:
        trusted.load_cert_chain(client)
    try:
        with urllib.request.urlopen(url, timeout=5, context=trusted) as response:
            return bool(response.status == status)
    except urllib.error.HTTPError as error:
        return error.code == status
    except OSError:
        return False


def listens(port: int) -> bool:
    """Whether a loopback port accepts connections."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
