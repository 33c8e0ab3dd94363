"""The box's own servers, the hub and dist-git: made, over TLS where they know clients by certificates, and run.

In cheroot the accepting thread does the TLS handshake, and a worker waits for the first bytes of a connection. Here a
connection waits in the selector until it has data, and the handshake is done in steps that never wait for the client:
a client that connects and sends nothing, or half a handshake, blocks no thread.
"""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cheroot import errors
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

logger = logging.getLogger(__name__)

#: Seconds between two looks at the clients.
WATCH_INTERVAL = 0.5
#: Seconds that a client may take for the TLS handshake and until its first request.
HANDSHAKE_TIMEOUT = 30.0
#: Seconds that a connection may be idle, between requests and within one.
TIMEOUT = 60
#: Seconds that a client may take to send a request and to receive the answer.
REQUEST_TIMEOUT = 900.0
#: Seconds that a client may take to send the head of a request.
HEAD_TIMEOUT = 30.0
#: Worker threads; each keeps one connection to the hub's database.
THREADS = 24
#: Connections that wait in the selector: idle ones, and those that have sent nothing yet.
CONNECTIONS = 400
#: The largest head of a request, and body where a server does not say otherwise, bytes.
LARGEST_HEAD = 64 * 1024
LARGEST_BODY = 64 * 1024 * 1024


class _Request(HTTPRequest):
    """A request of which the connection knows whether its head has arrived."""

    def parse_request(self) -> None:
        """Read the head."""
        super().parse_request()
        self.conn.limit = REQUEST_TIMEOUT


class _Connection(HTTPConnection):
    """A connection whose TLS handshake is done by workers, in steps."""

    RequestHandlerClass = _Request

    def __init__(self, server: Any, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(server, sock, *arguments, **options)
        #: Since when the server waits for the client, and how long it does; None: between requests.
        self.since: float | None = time.monotonic()
        self.limit = HANDSHAKE_TIMEOUT
        self._secure = not isinstance(sock, ssl.SSLSocket)
        server.watched.add(self)

    def communicate(self) -> bool:
        """Serve one request, or continue the handshake; whether the connection stays open."""
        if not self._secure:
            return self._shake_hands()
        if not self._has_data():
            # cheroot gives new connections to a worker at once: this one waits in the selector instead.
            return self._may_wait()
        self.since, self.limit = time.monotonic(), HEAD_TIMEOUT
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self.since = None

    def close(self) -> None:
        """Close the connection."""
        self.server.watched.discard(self)
        super().close()

    def expired(self, now: float) -> bool:
        """Whether the client takes too long."""
        since = self.since
        return since is not None and now - since > self.limit

    def _may_wait(self) -> bool:
        return bool(self.server.can_add_keepalive_connection)

    def _has_data(self) -> bool:
        if self.rfile.has_data() or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        readable = select.poll()
        readable.register(self.socket, select.POLLIN)
        return bool(readable.poll(0))

    def _shake_hands(self) -> bool:
        """Do as much of the handshake as the client has sent for."""
        self.socket.settimeout(0)
        try:
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return self._may_wait()
        except (OSError, ValueError) as error:
            logger.info("TLS handshake failed: %s", error)
            return False
        self.socket.settimeout(self.server.timeout)
        self.ssl_env = self.server.ssl_adapter.get_environ(self.socket)
        self._secure = True
        return self._may_wait()


class _Adapter(BuiltinSSLAdapter):
    """Leaves the handshake to the connection."""

    def wrap(self, sock: socket.socket) -> Any:
        """The socket, on which the handshake has not begun."""
        try:
            return self.context.wrap_socket(sock, do_handshake_on_connect=False, server_side=True), {}
        except OSError as error:
            raise errors.FatalSSLAlert(*error.args) from error


class _Server(Server):
    """A server that closes the connections of clients that take too long."""

    ConnectionClass = _Connection
    max_request_header_size = LARGEST_HEAD
    keep_alive_conn_limit = CONNECTIONS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.watched: set[_Connection] = set()

    def prepare(self) -> None:
        """Listen, and watch the clients."""
        super().prepare()
        threading.Thread(target=self._watch, daemon=True, name="watch").start()

    def _watch(self) -> None:
        while self.ready:
            time.sleep(WATCH_INTERVAL)
            now = time.monotonic()
            for connection in [each for each in self.watched.copy() if each.expired(now)]:
                # Not SSLSocket's own shutdown: a worker may be reading. It, or the selector, finds the end.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)


def make_server(
    application: Callable[..., Iterable[bytes]],
    address: tuple[str, int],
    *,
    certificate: Path | None = None,
    ca: Path | None = None,
    largest_body: int = LARGEST_BODY,
) -> Server:
    """A server on loopback; with a certificate over TLS: it asks clients for theirs, and works without one.

    :param certificate: a PEM file with certificate and key
    :param ca: the authority that signed the clients' certificates
    :param largest_body: bytes of a request's body; more is refused
    """
    server = _Server(address, application, numthreads=THREADS, request_queue_size=64, timeout=TIMEOUT)
    server.max_request_body_size = largest_body
    if certificate is not None:
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
