"""Servers over TLS that know their clients by certificates, the hub and dist-git: made, and run to their end."""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from cheroot.errors import FatalSSLAlert
from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

#: Seconds that a client may take for the TLS handshake.
HANDSHAKE_TIMEOUT = 30.0
#: Worker threads; each keeps one connection to the hub's database.
THREADS = 12


class _Adapter(BuiltinSSLAdapter):
    """Leaves the TLS handshake to the worker that serves the connection.

    cheroot makes it in the thread that accepts connections: a client that connects and sends nothing delays all others.
    """

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """Return the socket of a client before its handshake; its part of the WSGI environment is not known yet."""
        try:
            return self.context.wrap_socket(sock, do_handshake_on_connect=False, server_side=True), {}
        except OSError as error:
            raise FatalSSLAlert(*error.args) from error


class _Connection(HTTPConnection):
    """A connection that begins with the TLS handshake."""

    def communicate(self) -> bool:
        """Serve one request; whether the connection is kept open."""
        return (bool(self.ssl_env) or self._handshake()) and bool(super().communicate())  # type: ignore[no-untyped-call]

    def _handshake(self) -> bool:
        """Make the handshake within its time limit; False when the client does not take part in it."""
        try:
            self.socket.settimeout(HANDSHAKE_TIMEOUT)
            self.socket.do_handshake()
            self.socket.settimeout(self.server.timeout)
            self.ssl_env = self.server.ssl_adapter.get_environ(self.socket)
        except OSError:
            return False
        return True


def make_server(
    application: Callable[..., Iterable[bytes]], address: tuple[str, int], *, certificate: Path, ca: Path
) -> Server:
    """A TLS server on loopback that asks clients for a certificate, and works without one.

    :param certificate: a PEM file with certificate and key
    :param ca: the authority that signed the clients' certificates
    """
    server = Server(address, application, numthreads=THREADS, request_queue_size=64, timeout=60)
    server.ConnectionClass = _Connection
    adapter = _Adapter(str(certificate), str(certificate), str(ca))
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
