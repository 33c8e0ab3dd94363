"""Servers over TLS that know their clients by certificates, the hub and dist-git: made, and run to their end."""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

#: Seconds that a client may take for the TLS handshake.
HANDSHAKE_TIMEOUT = 4.0
#: Worker threads; each keeps one connection to the hub's database.
THREADS = 12


class _ImpatientAdapter(BuiltinSSLAdapter):
    """Gives up soon on a client that connects and says nothing.

    cheroot shakes hands where it accepts connections: meanwhile nobody else is let in.
    """

    def wrap(self, sock: socket.socket) -> Any:
        """Shake hands with a client, quickly or not at all."""
        sock.settimeout(HANDSHAKE_TIMEOUT)
        return super().wrap(sock)  # type: ignore[no-untyped-call]


def make_server(
    application: Callable[..., Iterable[bytes]], address: tuple[str, int], *, certificate: Path, ca: Path
) -> Server:
    """A TLS server on loopback that asks clients for a certificate, and works without one.

    :param certificate: a PEM file with certificate and key
    :param ca: the authority that signed the clients' certificates
    """
    server = Server(address, application, numthreads=THREADS, request_queue_size=64, timeout=60)
    adapter = _ImpatientAdapter(str(certificate), str(certificate), str(ca))
    adapter.context.verify_mode = ssl.CERT_OPTIONAL
    adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
    server.ssl_adapter = adapter
    return server


def serve(server: Server) -> None:
    """Serve until SIGTERM, which ends this process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.start()
    finally:
        server.stop()
